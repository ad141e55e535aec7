/** Indexes that a migration builds beside running requests wait for every older transaction. */
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { afterAll, afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { createDatabase } from '../../local/embedded-postgres.ts';
import { openDatabase } from '../../src/database.ts';
import { migrate } from '../../src/migrate.ts';
import { eventually } from '../harness/client.ts';

const BEFORE_INDEXES = 'Migration20261128121000_first_starts_of_before';
const made: string[] = [];
const open: pg.Client[] = [];
let url = '';

const connect = async (to: string) => {
  const client = new pg.Client({ connectionString: to });
  // one that a database was dropped under must not end the run
  client.on('error', () => undefined);
  await client.connect();
  open.push(client);
  return client;
};
beforeEach(async () => {
  const name = `test_${process.pid}_indexes_${randomUUID().slice(0, 8)}`;
  url = await createDatabase(inject('postgresUrl'), name);
  made.push(name);
  const database = await openDatabase({ url, applicationName: 'before', statementTimeoutMs: 0 });
  await database.orm.migrator.up({ to: BEFORE_INDEXES });
  await database.close();
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((client) => client.end()));
});
afterAll(async () => {
  const admin = new pg.Client({ connectionString: inject('postgresUrl') });
  await admin.connect();
  for (const name of made) await admin.query(`drop database if exists ${name} with (force)`);
  await admin.end();
});

const building = async (client: pg.Client) => {
  const { rows } = await client.query<{ pid: number }>(
    `select pid from pg_stat_activity where datname = current_database() and query like 'create index concurrently%' and wait_event_type = 'Lock'`,
  );
  return rows[0]?.pid;
};
const invalid = async (client: pg.Client) =>
  (await client.query('select indexrelid::regclass::text as name from pg_index where not indisvalid')).rows;
/** Is in the way of every index that is built beside it, and of nothing else. */
const startReading = async () => {
  const reader = await connect(url);
  await reader.query('begin isolation level repeatable read');
  await reader.query('select 1 from sessions');
  return reader;
};

describe('an upgrade that builds indexes', () => {
  it(
    'is done by one of several that begin at once, and none waits for another for ever',
    { timeout: 60_000 },
    async () => {
      const applied = await Promise.all([migrate(url), migrate(url), migrate(url)]);
      expect(applied.filter((names) => names.length > 0)).toHaveLength(1);
      expect(await invalid(await connect(url))).toEqual([]);
    },
  );

  it(
    'waits as long as a reader takes, keeps nobody waiting, and begins nothing again',
    { timeout: 60_000 },
    async () => {
      const [reader, visitor] = [await startReading(), await connect(url)];
      const locked: unknown[] = [];
      const applied = migrate(url, { onLocked: () => void locked.push('locked') });
      const builtBy = await eventually(
        () => building(visitor),
        (pid) => pid !== undefined,
        20_000,
      );
      const waitsSince = performance.now();
      const waits: number[] = [];
      await eventually(
        async () => {
          const startedAt = performance.now();
          await visitor.query('begin; lock table sessions in row exclusive mode; select 1 from sessions; commit');
          waits.push(performance.now() - startedAt);
          return performance.now() - waitsSince;
        },
        // longer than any wait for a lock that lets others by
        (waitedMs) => waitedMs > 3_000,
      );
      expect(await building(visitor)).toBe(builtBy);
      expect(Math.max(...waits)).toBeLessThan(2_000);
      await reader.query('commit');
      expect((await applied).length).toBeGreaterThan(1);
      expect(locked).toEqual([]);
      expect(await invalid(visitor)).toEqual([]);
    },
  );

  it('that was cut off is begun again, and what it left half-built is built', { timeout: 60_000 }, async () => {
    const [reader, operator] = [await startReading(), await connect(url)];
    const applied = migrate(url).catch((error: unknown) => error);
    const pid = await eventually(
      () => building(operator),
      (found) => found !== undefined,
      20_000,
    );
    await operator.query('select pg_terminate_backend($1)', [pid]);
    expect(await applied).toBeInstanceOf(Error);
    expect(await invalid(operator)).toHaveLength(1);
    await reader.query('commit');
    expect((await migrate(url)).length).toBeGreaterThan(1);
    expect(await invalid(operator)).toEqual([]);
  });
});
