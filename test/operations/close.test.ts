import { sql } from 'kysely';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { openDatabase, row } from '../../src/database.ts';
import { cloneDatabase, type TestDatabase } from '../harness/database.ts';

let clone: TestDatabase;
beforeAll(async () => {
  clone = await cloneDatabase();
});
afterAll(() => clone.drop());

it('a process that closes its database ends, and loses no statement that it had begun, be the connection made or not', async () => {
  const database = await openDatabase({ url: clone.url, applicationName: 'closing', poolSize: 2 });
  const begun = Array.from({ length: 6 }, (_, i) =>
    row(database.pool, sql`insert into organizations (id) values (${`closing-${i}`})`),
  );
  await database.close();
  await Promise.all(begun);
  expect(await clone.query(`select count(*)::int as written from organizations where id like 'closing-%'`)).toEqual([
    { written: 6 },
  ]);
  await expect(row(database.pool, sql`select 1`)).rejects.toThrow();
});

it('somebody who goes on asking does not keep it open', async () => {
  const database = await openDatabase({ url: clone.url, applicationName: 'closing', poolSize: 2 });
  let answers = 0;
  const askForEver = async (): Promise<never> => {
    for (;;) {
      await row(database.pool, sql`select pg_sleep(0.01)`);
      answers += 1;
    }
  };
  const asking = Array.from({ length: 5 }, () => expect(askForEver()).rejects.toThrow());
  await vi.waitFor(() => expect(answers).toBeGreaterThan(10));
  await database.close();
  await Promise.all(asking);
});
