import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import pg from 'pg';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { migrate } from '../../src/migrate.ts';
import { signIn, terminate, untilVerified } from '../harness/terminations.ts';
import { through, useProcesses } from './use-processes.ts';

const processes = useProcesses({ VERIFY_AFTER_SECONDS: '1', ACCESS_TOKEN_TTL_SECONDS: '1' });
const name = `test_${process.pid}_roles`;
const password = randomUUID();
const file = (path: string) => readFileSync(new URL(`../../ops/${path}`, import.meta.url), 'utf8');

const urlOf = (role?: string): string => {
  const url = new URL(inject('postgresUrl'));
  url.pathname = name;
  if (role !== undefined) Object.assign(url, { username: `session_management_${role}`, password });
  return url.href;
};
async function as(role: string | undefined, ...statements: string[]): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: urlOf(role) });
  await client.connect();
  try {
    let rows: Record<string, unknown>[] = [];
    for (const statement of statements) rows = (await client.query<Record<string, unknown>>(statement)).rows;
    return rows;
  } finally {
    await client.end();
  }
}
const roles = ['owner', 'app', 'reader'];

/** The steps of docker-compose.yml, in their order and each as its role. */
beforeAll(async () => {
  const admin = new pg.Client({ connectionString: inject('postgresUrl') });
  await admin.connect();
  await admin.query(`drop database if exists ${name} with (force)`);
  await admin.query(`create database ${name}`);
  await admin.end();
  for (let time = 0; time < 2; time++) await as(undefined, file('roles.sql'));
  await as(undefined, ...roles.map((role) => `alter role session_management_${role} password '${password}'`));
  expect(await migrate(urlOf('owner'))).not.toEqual([]);
  for (let time = 0; time < 2; time++) await as('owner', file('grants.sql'));
});
afterAll(async () => {
  const admin = new pg.Client({ connectionString: inject('postgresUrl') });
  await admin.connect();
  await admin.query(`drop database if exists ${name} with (force)`);
  await admin.end();
});

it('the API and the worker do all of their work as a role that owns nothing', { timeout: 120_000 }, async () => {
  const DATABASE_URL = urlOf('app');
  const [api, worker] = await Promise.all([processes.api({ DATABASE_URL }), processes.worker({ DATABASE_URL })]);
  const stack = through(processes, api);
  await signIn(stack, { organizationId: 'least', userId: 'grace', sessionId: 's1', chainIds: ['c1'] });
  const { body } = await terminate(stack, 'least', 'users/grace/sessions/terminate');
  await untilVerified(stack, body, 30_000);
  const page = await (await fetch(`${worker.url}/metrics`)).text();
  expect(page).toContain('session_management_backlog_read_success 1');
  const refusals = [...api.lines, ...worker.lines].filter((line) =>
    /permission denied|42501|"level":50|retention could not|could not look/.test(line),
  );
  expect(refusals).toEqual([]);
  for (const process of [api, worker]) expect((await process.terminate()).code).toBe(0);
});

it('the role of the service erases no fact and no fence, and changes no structure', async () => {
  for (const statement of [
    'delete from audit_events',
    "update audit_events set reason = 'x'",
    'truncate audit_events',
    'delete from audit_seals',
    'delete from terminations',
    'delete from organizations',
    'create table mine (n int)',
    'drop table sessions',
    'alter table audit_events disable trigger all',
    'create or replace function refuse_change() returns trigger language plpgsql as $$ begin return new; end $$',
  ])
    await expect(as('app', statement), statement).rejects.toThrow(/permission denied|must be owner/);
});

it('the role for reading reads states and times, not devices, answers or keys, and writes nothing', async () => {
  expect(await as('reader', 'select id, end_reason, termination_id from sessions')).toHaveLength(1);
  expect(await as('reader', 'select status from terminations')).toEqual([{ status: 'completed' }]);
  for (const statement of [
    'select ip_address from sessions',
    'select * from sessions',
    'select response_body from idempotency_keys',
    'select key from service_keys',
    'select 1 from session_states',
  ])
    await expect(as('reader', statement), statement).rejects.toThrow(/permission denied/);
  await expect(
    as('reader', 'set default_transaction_read_only = off', "update terminations set reason = 'x'"),
  ).rejects.toThrow(/permission denied/);
});

it('every table and view that a migration has made is granted to the service, and nothing to everybody', async () => {
  const forgotten = await as(
    'owner',
    `select relname from pg_class c where relnamespace = 'public'::regnamespace and relkind in ('r', 'v') and relname not like 'mikro_orm%'
       and not has_table_privilege('session_management_app', oid, 'select')`,
  );
  expect(forgotten).toEqual([]);
  expect(await as('owner', "select has_database_privilege('public', current_database(), 'connect') as open")).toEqual([
    { open: false },
  ]);
});
