import { execFileSync } from 'node:child_process';
import { appendFileSync, rmSync, writeFileSync } from 'node:fs';
import { Writable } from 'node:stream';
import pg from 'pg';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { ensurePostgres, type Postgres } from '../../local/embedded-postgres.ts';
import { type Database, openDatabase } from '../../src/database.ts';
import { everyStandbyIsAsynchronous } from '../../src/metrics/standbys.ts';
import { watchDatabase } from '../../src/watch-database.ts';
import { eventually } from '../harness/client.ts';
import { useOwnPostgres } from '../harness/own-postgres.ts';

const primary = useOwnPostgres();
let standby: Postgres | undefined;
let copy = '';
let url = '';

const asOwner = async (text: string) => {
  const client = new pg.Client({ connectionString: primary.url() });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(text)).rows;
  } finally {
    await client.end();
  }
};
const standbys = () => asOwner('select sync_state from pg_stat_replication where state = $$streaming$$');
const open = async (address: string): Promise<Database> => {
  const database = await openDatabase({ url: address, applicationName: 'standbys', poolSize: 1 });
  onTestFinished(() => database.close());
  return database;
};

/** The primary's data as it lies while it does not run, begun as a standby that streams from it. */
async function startStandby(): Promise<Postgres> {
  const { hostname, port, password } = new URL(primary.url());
  copy = `${primary.dataDir()}-standby`;
  await primary.kill9();
  for (const beside of ['', '.password']) execFileSync('cp', ['-a', primary.dataDir() + beside, copy + beside]);
  rmSync(`${copy}/postmaster.pid`, { force: true });
  writeFileSync(`${copy}/standby.signal`, '');
  appendFileSync(
    `${copy}/postgresql.auto.conf`,
    `primary_conninfo = 'host=${hostname} port=${port} user=postgres password=${password} application_name=standby'\n`,
  );
  await primary.start();
  return ensurePostgres({ dataDir: copy });
}

beforeAll(async () => {
  url = (await primary.environment()).DATABASE_URL;
  standby = await startStandby();
  await eventually(standbys, (rows) => rows.length === 1);
}, 120_000);
afterAll(async () => {
  await standby?.stop();
  for (const beside of ['', '.password', '.log', '.lock', '.users'])
    if (copy !== '') rmSync(copy + beside, { recursive: true, force: true });
});

it('a process warns once that the only standby is asynchronous', async () => {
  const lines: { msg: string }[] = [];
  const into = new Writable({
    write: (chunk: Buffer, _, done) => (lines.push(JSON.parse(chunk.toString()) as { msg: string }), done()),
  });
  const watched = watchDatabase({
    database: await open(url),
    metrics: new Registry(),
    logger: pino({ level: 'warn' }, into),
    everyMs: 20,
    standbysEveryMs: 0,
  });
  onTestFinished(() => watched.stop());
  await eventually(
    () => Promise.resolve(lines),
    (all) => all.length > 0,
  );
  const statements = async () =>
    Number((await asOwner(`select xact_commit from pg_stat_database where datname = 'own'`))[0]?.['xact_commit']);
  const before = await statements();
  await eventually(statements, (after) => after > before + 20);
  expect(lines.map(({ msg }) => msg)).toEqual([
    'every standby of the database is asynchronous: a takeover may lose decisions that were answered (synchronous_standby_names)',
  ]);
});

it('a role that may not see it, and one standby that is waited for, warn of nothing', async () => {
  const owner = await open(url);
  expect(await everyStandbyIsAsynchronous(owner)).toBe(true);
  await asOwner(`create role plain login password 'plain'`);
  const plain = new URL(url);
  Object.assign(plain, { username: 'plain', password: 'plain' });
  expect(await everyStandbyIsAsynchronous(await open(plain.href))).toBe(false);
  await asOwner(`alter system set synchronous_standby_names = 'standby'`);
  await asOwner('select pg_reload_conf()');
  await eventually(standbys, ([row]) => row?.['sync_state'] === 'sync');
  expect(await everyStandbyIsAsynchronous(owner)).toBe(false);
});
