import { Registry } from 'prom-client';
import { expect, it } from 'vitest';
import { openDatabase } from '../../src/database.ts';
import { readBacklog } from '../../src/metrics/backlog.ts';
import { registerBacklog } from '../../src/metrics/backlog-metrics.ts';
import { call, tokens } from '../harness/client.ts';
import { useStack } from '../harness/stack.ts';
import { signIn, terminate } from '../harness/terminations.ts';

const stack = useStack({ worker: false, environment: { TEMPORAL_ADDRESS: '127.0.0.1:9' } });
const value = (page: string, name: string) =>
  Number(new RegExp(`^session_management_${name} (\\S+)$`, 'm').exec(page)?.[1] ?? Number.NaN);
const scrape = async () => (await call(stack, 'GET', '/metrics', { token: null })).text;
const backlog = async () => {
  const database = await openDatabase({ url: stack.database.url, applicationName: 'metrics-test' });
  try {
    return await readBacklog(database);
  } finally {
    await database.close();
  }
};

it('what is undelivered, unconfirmed, silent, stalled or unsealed shows, with its age', async () => {
  await signIn(stack, { organizationId: 'metered', userId: 'grace', sessionId: 's1', chainIds: ['c1', 'c2'] });
  expect((await terminate(stack, 'metered', 'sessions/s1/terminate')).status).toBe(202);
  const fresh = await backlog();
  expect(fresh).toMatchObject({
    terminations_running: 1,
    pending_sessions: 1,
    pending_chains: 2,
    undelivered_terminations: 1,
    stalled_terminations: 0,
    silent_terminations: 0,
    unsealed_audit_events: 1,
  });
  await stack.database.moveClock(600_000);
  await stack.database.query('update terminations set delivered_revision = revision');
  const old = await backlog();
  expect(old).toMatchObject({ undelivered_terminations: 0, stalled_terminations: 1, silent_terminations: 1 });
  for (const age of [old?.oldest_unconfirmed_termination_seconds, old?.oldest_unsealed_audit_event_seconds]) {
    expect(age).toBeGreaterThanOrEqual(600);
    expect(age).toBeLessThan(660);
  }
  await stack.database.moveClock(-600_000);
});

it('a grant past its end shows its lag until its clean-up begins, then as ending until its sessions are dead', async () => {
  const grant = (org: string, columns: string, values: string) =>
    stack.database.query(`with o as (insert into organizations (id) values ('${org}')) insert into support_access_grants
      (organization_id, created_by, created_at, activate_before, starts_at, progress_at, next_look_at, dispatch_after, delivered_revision, expires_at${columns})
      values ('${org}', '{}', now(), now(), now(), now(), now() + interval '1 hour', now(), 1, ${values})`);
  await grant('live', '', "now() + interval '1 hour'");
  await grant('late', '', "now() - interval '5 minutes'");
  await grant(
    'ending',
    ', access_ended_at, end_reason',
    "now() + interval '1 hour', now() - interval '10 minutes', 'revoked'",
  );
  const {
    grants_live,
    grants_ending,
    grant_end_lag_seconds: lag,
    oldest_ending_grant_seconds: ending,
  } = (await backlog()) ?? {};
  expect({ grants_live, grants_ending }).toEqual({ grants_live: 1, grants_ending: 1 });
  expect([Math.floor(Number(lag) / 60), Math.floor(Number(ending) / 60)]).toEqual([5, 10]);
});

it('the page counts requests by route pattern and status, shows the pool, and names no organization', async () => {
  const token = await tokens(stack.issuer).orgAdmin('metered');
  await call(stack, 'GET', '/v1/organizations/metered/users/grace/sessions', { token });
  await call(stack, 'GET', '/v1/organizations/metered/wp-login.php', { token: null });
  const page = await scrape();
  expect(page).toMatch(
    /http_request_duration_seconds_bucket\{[^}]*route="\/v1\/organizations\/\{\w+\}\/users\/\{\w+\}\/sessions",status="200"/,
  );
  expect(page).toMatch(/route="unmatched",status="40\d"/);
  expect(page).toMatch(/session_management_database_pool_connections\{state="idle"\} [1-9]/);
  expect(page).not.toMatch(/metered|grace|wp-login/);
  expect(value(page, 'backlog_read_success')).toBe(1);
  expect(value(page, 'terminations_running')).toBe(1);
});

it('scrapes share one reading of the database in five seconds; without a database the figures are absent, not old', async () => {
  const registry = new Registry();
  const reading = { count: 0 };
  const figures = await backlog();
  registerBacklog(registry, () => {
    reading.count += 1;
    return Promise.resolve(figures);
  });
  await Promise.all([registry.metrics(), registry.metrics()]);
  expect(value(await registry.metrics(), 'terminations_running')).toBe(1);
  expect(reading.count).toBe(1);
  const down = new Registry();
  registerBacklog(down, () => Promise.reject(new Error('down')));
  const page = await down.metrics();
  expect(value(page, 'backlog_read_success')).toBe(0);
  expect(value(page, 'terminations_running')).toBeNaN();
});

it('reading it costs what is open, not what has been: no table of sessions, chains or audit is touched', async () => {
  const before = await scans();
  await backlog();
  expect(await scans()).toEqual(before);
});
async function scans(): Promise<unknown> {
  await stack.database.query('select pg_stat_force_next_flush()');
  return stack.database.query(
    "select relname, seq_scan + coalesce(idx_scan, 0) as scans from pg_stat_user_tables where relname in ('sessions', 'refresh_token_chains', 'audit_events', 'audit_seals') order by 1",
  );
}
