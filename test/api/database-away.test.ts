import { sql } from 'kysely';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startApi, type RunningApi } from '../../src/api.ts';
import { isDatabaseUnavailable, openDatabase, row } from '../../src/database.ts';
import { createConnector } from '../../src/database/connector.ts';
import { createListener } from '../../src/service/listener.ts';
import { call, eventually, tokens } from '../harness/client.ts';
import { report, started } from '../harness/events.ts';
import { type Stack, useStack } from '../harness/stack.ts';
import { startDatabaseProxy, type DatabaseProxy } from './database-proxy.ts';

const stack = useStack({ worker: false });
/** With room for a machine that does much else. */
const ABOUT_A_SECOND_MS = 2_000;
let proxy: DatabaseProxy;
let api: RunningApi;
/** The same service behind the proxy. */
let behind: Stack;

beforeAll(async () => {
  proxy = await startDatabaseProxy(stack.database.url);
  const config = { ...stack.config, database: { ...stack.config.database, url: proxy.url } };
  api = await startApi(config, pino({ level: 'silent' }));
  behind = { ...stack, url: api.url };
  await report(stack, [started({ organizationId: 'acme', userId: 'grace', sessionId: 's1' })]);
});
afterAll(async () => {
  await proxy.become('refusing');
  await api.stop();
  await proxy.close();
});

const organization = '/v1/organizations/acme';
type Ask = [what: string, method: string, path: string, scope: string | null, body?: unknown];
const asks: Ask[] = [
  [
    'the check',
    'POST',
    '/v1/support-access/check',
    'support-access:check',
    { organizationId: 'acme', userId: 'staff', role: 'global_admin' },
  ],
  ['the list of sessions', 'GET', `${organization}/users/grace/sessions`, null],
  ['the audit', 'GET', `${organization}/audit-events`, null],
  ['the export', 'GET', `${organization}/audit-events?action=termination.requested`, null],
  ['the flag, for a machine', 'GET', `${organization}/support-access`, 'support-access:manage'],
  ['ending a session', 'POST', `${organization}/sessions/s1/terminate`, null, {}],
  ['ending everything', 'POST', `${organization}/sessions/terminate`, null, {}],
  [
    'granting',
    'POST',
    `${organization}/support-access-grants`,
    null,
    { userId: null, expiresAt: new Date(Date.now() + 3_600_000).toISOString() },
  ],
  [
    'granting, for a machine',
    'POST',
    `${organization}/support-access-grants`,
    'support-access:manage',
    { userId: null, expiresAt: new Date(Date.now() + 3_600_000).toISOString() },
  ],
  [
    'session events',
    'POST',
    '/v1/session-events',
    'sessions:ingest',
    { events: [started({ organizationId: 'acme', userId: 'grace', sessionId: 's2' })] },
  ],
];

/** Many checks at once share their statements. */
const crowd: Ask[] = [...asks, ...Array.from({ length: 20 }, () => asks[0] as Ask)];

async function ask([what, method, path, scope, body]: Ask, headers: Record<string, string> = {}) {
  const token =
    scope === null ? await tokens(stack.issuer).orgAdmin('acme') : await tokens(stack.issuer).machine(scope);
  const startedAt = performance.now();
  const accept: Record<string, string> = what === 'the export' ? { accept: 'application/x-ndjson' } : {};
  const answer = await call(behind, method, path, { token, body, headers: { ...accept, ...headers } });
  return { answer, ms: performance.now() - startedAt };
}
const rowsNow = () =>
  stack.database.query(
    'select (select count(*) from terminations) t, (select count(*) from sessions) s, (select count(*) from support_access_grants) g, (select count(*) from audit_events) a',
  );

/** The pool has connections, which nobody has told that anything is wrong. */
const warm = async () => {
  await eventually(
    () => ask(asks[1] as Ask),
    ({ answer }) => answer.status === 200,
  );
  // each a statement of its own: lists that are asked for at once share one
  await Promise.all(Array.from({ length: 6 }, () => ask(asks[2] as Ask)));
  expect(proxy.open).toBeGreaterThan(3);
};

describe.each(['refusing', 'hanging'] as const)('a database that is %s', (state) => {
  beforeEach(warm);
  afterEach(() => proxy.become('passing'));

  it('is said within about a second, to everybody, and nothing is changed', async () => {
    const before = await rowsNow();
    await proxy.become(state);
    for (const round of [1, 2]) {
      const answers = await Promise.all(crowd.map((each) => ask(each)));
      for (const [n, { answer, ms }] of answers.entries()) {
        const what = `${crowd[n]?.[0]}, round ${round}: ${answer.text}`;
        expect({ status: answer.status, code: answer.body['code'] }, what).toEqual({
          status: 503,
          code: 'database-unavailable',
        });
        expect(answer.headers.get('retry-after'), what).toBe('1');
        expect(ms, what).toBeLessThan(ABOUT_A_SECOND_MS);
      }
    }
    expect(await rowsNow()).toEqual(before);
  });

  it('is said by the readiness, while the process lives on', async () => {
    await proxy.become(state);
    const notReady = await eventually(
      () => call<{ status: string }>(behind, 'GET', '/readyz'),
      ({ status }) => status === 503,
      4_000,
    );
    expect(notReady.body).toMatchObject({
      status: 'unavailable',
      database: { status: 'down' },
      temporal: { status: 'up' },
    });
    expect((await call(behind, 'GET', '/healthz')).status).toBe(200);
  });

  it('is used again as soon as it is back, and no statement of the outage arrives late', async () => {
    const before = await rowsNow();
    await proxy.become(state);
    await Promise.all(asks.map((each) => ask(each)));
    await proxy.become('passing');
    const { ms } = await eventually(
      () => ask(asks[1] as Ask),
      ({ answer }) => answer.status === 200,
      3_000,
    ).then((last) => last);
    expect(ms).toBeLessThan(ABOUT_A_SECOND_MS);
    expect(await rowsNow()).toEqual(before);
  });
});

describe('a statement without an answer', () => {
  const open = () => openDatabase({ url: proxy.url, applicationName: 'waiting', poolSize: 2, connectTimeoutMs: 2_000 });

  it('is waited for while the server is at work on it', async () => {
    const database = await open();
    expect(await row(database.pool, sql`select 1 as answer, pg_sleep(2)`)).toMatchObject({ answer: 1 });
    await database.close();
  });

  it('is waited for while it waits for a lock', async () => {
    const [database, other] = await Promise.all([open(), open()]);
    const lock = sql`select pg_advisory_xact_lock(7)`;
    const order: string[] = [];
    const held = Promise.withResolvers<void>();
    const first = other.transaction(async (transaction) => {
      await row(transaction, lock);
      held.resolve();
      await row(transaction, sql`select pg_sleep(1.5)`);
      order.push('first');
    });
    await held.promise;
    await database.transaction(async (transaction) => void (await row(transaction, lock)));
    order.push('second');
    await first;
    expect(order).toEqual(['first', 'second']);
    await Promise.all([database.close(), other.close()]);
  });

  it('is lost within about a second where its connection was forgotten, and new connections serve', async () => {
    await warm();
    proxy.silenceOpen();
    const { answer, ms } = await ask(asks[1] as Ask);
    expect({ status: answer.status, code: answer.body['code'] }).toEqual({ status: 503, code: 'database-unavailable' });
    expect(ms).toBeLessThan(ABOUT_A_SECOND_MS);
    await eventually(
      () => ask(asks[1] as Ask),
      ({ answer: { status } }) => status === 200,
      5_000,
    );
  });

  it('undoes what its transaction had done, and costs the pool nothing', async () => {
    const database = await open();
    for (let n = 0; n < 3; n += 1) {
      const written = database.transaction(async (transaction) => {
        await row(transaction, sql`insert into organizations (id) values (${`half-done-${n}`})`);
        proxy.silenceOpen();
        await row(transaction, sql`select 1`);
      });
      const error = await written.catch((thrown: unknown) => thrown);
      expect(isDatabaseUnavailable(error), String(error)).toBe(true);
    }
    expect(
      await row(database.pool, sql`select count(*)::int as count from organizations where id like 'half-done%'`),
    ).toEqual({ count: 0 });
    await database.close();
  });
});

it('who listens on a connection that was forgotten finds out, and hears on a new one', async () => {
  let connections = 0;
  const heard: string[] = [];
  const listener = createListener({
    connector: createConnector({ url: proxy.url }),
    channel: 'forgotten',
    onNotify: (payload) => heard.push(payload),
    onConnect: () => (connections += 1),
  });
  await eventually(
    () => Promise.resolve(connections),
    (n) => n === 1,
  );
  proxy.silenceOpen();
  await eventually(
    () => Promise.resolve(connections),
    (n) => n === 2,
  );
  await stack.database.query(`select pg_notify('forgotten', 'again')`);
  await eventually(
    () => Promise.resolve(heard),
    (payloads) => payloads.includes('again'),
  );
  await listener.close();
});
