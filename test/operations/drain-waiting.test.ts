import pg from 'pg';
import { expect, it, onTestFinished } from 'vitest';
import { openReader } from '../api/open-reader.ts';
import { plantGrant } from '../api/planted-organization.ts';
import { call, eventually, tokens } from '../harness/client.ts';
import { terminate } from '../harness/terminations.ts';
import { type RunningProcess, through, useProcesses } from './use-processes.ts';

// without a worker nothing is ever completed: whoever waits, waits for as long as is allowed
const graceSeconds = 20;
const processes = useProcesses({ SHUTDOWN_GRACE_SECONDS: String(graceSeconds) });
const org = 'stopping';

const waitingForLock = async () =>
  (
    await processes.database.query(
      `select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
    )
  ).length;
const decided = async (organizationId: string) =>
  (
    await processes.database.query('select 1 from terminations where organization_id = $1 and delivered_revision = 1', [
      organizationId,
    ])
  ).length;
const ask = async (api: RunningProcess, method: string, path: string, body: unknown) =>
  call(api, method, `/v1/organizations/${org}/${path}`, {
    token: await tokens(processes.issuer).orgAdmin(org),
    body,
  });

it('an API that is told to stop ends every wait: 202 for the decisions that stand, and exits at once', async () => {
  const api = await processes.api();
  const stack = through(processes, api);
  const paths = ['users/grace/sessions/terminate', 'sessions/terminate'];
  const token = await tokens(processes.issuer).orgAdmin(org);
  const send = (path: string) =>
    call(api, 'POST', `/v1/organizations/${org}/${path}`, { token, body: {}, headers: { prefer: 'wait=30' } });
  const requests = paths.map(send);
  await eventually(
    () => decided(org),
    (n) => n === paths.length,
  );
  expect(stack.url).toBe(api.url);
  const { code, ms } = await api.terminate();
  for (const { status, headers } of await Promise.all(requests)) {
    expect([status, headers.get('retry-after')]).toEqual([202, '1']);
    expect(headers.get('location')).toMatch(/\/terminations\/[\w-]{36}$/);
  }
  expect(code).toBe(0);
  expect(ms).toBeLessThan(2_000);
});

it('an event stream ends whole, with a comment and the time after which to connect again', async () => {
  const api = await processes.api();
  const { body } = await terminate(through(processes, api), 'streamed', 'users/grace/sessions/terminate');
  const path = `/v1/organizations/streamed/terminations/${body.id}/events`;
  const token = await tokens(processes.issuer).orgAdmin('streamed');
  const readers = await Promise.all(Array.from({ length: 20 }, () => openReader(api, path, token)));
  await eventually(
    async () => readers,
    (all) => all.every(({ text }) => text.includes('event: termination')),
  );
  const { code, ms } = await api.terminate();
  for (const reader of readers) {
    expect(await reader.closed).toBe('whole');
    expect(reader.text).toMatch(/\n\n: [^\n]+\nretry: \d+\n\n$/);
  }
  expect(code).toBe(0);
  expect(ms).toBeLessThan(2_000);
});

it('a change of a grant that waits for another’s is answered as decided', async () => {
  const api = await processes.api();
  const grantId = await plantGrant({ database: processes.database }, org);
  const holder = new pg.Client({ connectionString: processes.database.url });
  await holder.connect();
  onTestFinished(() => holder.end());
  await holder.query('begin');
  await holder.query('select from support_access_grants where id = $1 for update', [grantId]);
  const expiresAt = new Date(Date.now() + 1_800_000).toISOString();
  const change = ask(api, 'PATCH', `support-access-grants/${grantId}`, { expiresAt });
  await eventually(waitingForLock, (n) => n === 1);
  const ended = api.terminate();
  await eventually(() => refuses(api.url), Boolean, 2_000);
  await holder.query('commit');
  const { status, body } = await change;
  expect([status, body['expiresAt'], body['revision']]).toEqual([200, expiresAt, 2]);
  expect((await ended).code).toBe(0);
});

it('a grant that is being created is answered: 503 where nobody can arm it, and nothing was granted', async () => {
  const api = await processes.api();
  const expiresAt = new Date(Date.now() + 3_600_000).toISOString();
  const creation = ask(api, 'POST', 'support-access-grants', { userId: 'ada', expiresAt });
  const rows = () =>
    processes.database.query<{ alive: boolean; voided: boolean }>(
      `select starts_at is not null as alive, voided_at is not null as voided from support_access_grants where user_id = 'ada'`,
    );
  await eventually(rows, (found) => found.length === 1);
  const ended = api.terminate();
  const { status, body } = await creation;
  expect([status, body['code']]).toEqual([503, 'workflow-engine-unavailable']);
  expect(await rows()).toEqual([{ alive: false, voided: true }]);
  expect((await ended).code).toBe(0);
});

const refuses = (url: string) =>
  fetch(`${url}/healthz`).then(
    () => false,
    () => true,
  );
