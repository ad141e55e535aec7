import { sql } from 'kysely';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Database, openDatabase, rows, type Transaction } from '../../src/database.ts';
import { cloneDatabase, type TestDatabase } from '../harness/database.ts';

let clone: TestDatabase;
let database: Database;
beforeAll(async () => {
  clone = await cloneDatabase();
  database = await openDatabase({ url: clone.url, applicationName: 'deadlock' });
});
afterAll(async () => {
  await database.close();
  await clone.drop();
});

// An end and a batch of events meet in the same rows; that PostgreSQL sacrifices one of two must refuse no sign-in.
it('of two transactions that wait for each other both are done: the one that is sacrificed is run again', async () => {
  await clone.query(`insert into organizations (id) values ('a'), ('b')`);
  const lock = (transaction: Transaction, id: string) =>
    rows(transaction, sql`select 1 from organizations where id = ${id} for update`);
  let holding = 0;
  let bothHold = () => {};
  const met = new Promise<void>((done) => (bothHold = done));
  let runs = 0;
  const inOrder = (first: string, second: string) =>
    database.transaction(async (transaction) => {
      runs += 1;
      await lock(transaction, first);
      if ((holding += 1) >= 2) bothHold();
      await met;
      await lock(transaction, second);
      return first;
    });
  expect(await Promise.all([inOrder('a', 'b'), inOrder('b', 'a')])).toEqual(['a', 'b']);
  expect(runs).toBe(3);
});
