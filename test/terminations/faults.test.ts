import { expect, it } from 'vitest';
import type { ErrorClass } from '../../src/rules/termination.ts';
import type { Fault } from '../auth-module/faults.ts';
import type { Injection } from '../auth-module/injections.ts';
import { terminationWorkflowId } from '../../src/workflows/messages.ts';
import { call, eventually, tokens } from '../harness/client.ts';
import { useStack } from '../harness/stack.ts';
import {
  delaysIn,
  historyOf,
  hurry,
  listSessions,
  look,
  signIn,
  terminate,
  untilCompleted,
} from '../harness/terminations.ts';

// thirty faults at once keep this process busy: what answers in time must not look as if it had not
const stack = useStack({ environment: { AUTH_MODULE_TIMEOUT_MS: '2000' } });

interface Case {
  name: string;
  fault: Fault;
  injection?: Injection;
  errorClass: ErrorClass;
}

const status = (code: number, errorClass: ErrorClass): Case => ({
  name: `answers ${code}`,
  fault: { kind: 'status', status: code },
  errorClass,
});
const search: Injection = { endpoint: 'search' };
const invalidate: Injection = { endpoint: 'invalidate' };

const cases: Case[] = [
  { name: 'cuts the connection', fault: { kind: 'refuse' }, errorClass: 'unreachable' },
  { name: 'never answers', fault: { kind: 'hang' }, errorClass: 'timeout' },
  { name: 'stops in mid-body', fault: { kind: 'hang-in-body' }, errorClass: 'timeout' },
  { name: 'resets in mid-body', fault: { kind: 'reset-in-body' }, errorClass: 'unreachable' },
  { name: 'does not speak HTTP', fault: { kind: 'not-http' }, errorClass: 'bad-response' },
  status(500, 'server-error'),
  status(502, 'server-error'),
  status(503, 'server-error'),
  status(429, 'throttled'),
  status(400, 'rejected'),
  status(401, 'unauthorized'),
  status(403, 'unauthorized'),
  status(404, 'rejected'),
  status(408, 'rejected'),
  {
    name: 'redirects',
    fault: { kind: 'status', status: 307, location: 'http://127.0.0.1:1/' },
    errorClass: 'bad-response',
  },
  { name: 'answers malformed JSON', fault: { kind: 'malformed-json' }, errorClass: 'bad-response' },
  { name: 'answers what is not UTF-8', fault: { kind: 'invalid-utf8' }, errorClass: 'bad-response' },
  {
    name: 'answers another contract',
    fault: { kind: 'body', body: { ok: true, note: 'secret-of-the-body' } },
    errorClass: 'bad-response',
  },
  {
    name: 'leaves every outcome out',
    fault: { kind: 'missing-outcomes' },
    injection: invalidate,
    errorClass: 'bad-response',
  },
  {
    name: 'leaves one chain’s outcome out',
    fault: { kind: 'missing-outcomes', ids: ['c1'] },
    injection: invalidate,
    errorClass: 'bad-response',
  },
  {
    name: 'leaves one sign-in’s outcome out',
    fault: { kind: 'missing-outcomes', ids: ['s1'] },
    injection: invalidate,
    errorClass: 'bad-response',
  },
  {
    name: 'tells outcomes nobody asked for',
    fault: { kind: 'extra-outcomes' },
    injection: invalidate,
    errorClass: 'bad-response',
  },
  {
    name: 'contradicts itself',
    fault: { kind: 'contradictory-outcomes', ids: ['c1'] },
    injection: invalidate,
    errorClass: 'bad-response',
  },
  {
    name: 'says that one chain failed',
    fault: { kind: 'poison', ids: ['c1'] },
    injection: invalidate,
    errorClass: 'rejected',
  },
  {
    name: 'says that one sign-in failed',
    fault: { kind: 'poison', ids: ['s2'] },
    injection: invalidate,
    errorClass: 'rejected',
  },
  { name: 'lies again and again', fault: { kind: 'lie' }, injection: invalidate, errorClass: 'rejected' },
  { name: 'revives what it killed', fault: { kind: 'resurrect' }, injection: invalidate, errorClass: 'rejected' },
  {
    name: 'finds another organization’s chain',
    fault: { kind: 'foreign-chain', chain: { organizationId: 'elsewhere' } },
    injection: search,
    errorClass: 'bad-response',
  },
  {
    name: 'finds another user’s chain',
    fault: { kind: 'foreign-chain', chain: { userId: 'somebody-else' } },
    injection: search,
    errorClass: 'bad-response',
  },
  {
    name: 'finds a chain of a later session',
    fault: { kind: 'foreign-chain', chain: { sessionStartedAt: '2100-01-01T00:00:00.000Z' } },
    injection: search,
    errorClass: 'bad-response',
  },
  {
    name: 'pages in a circle',
    fault: { kind: 'repeat-cursor', cursor: 'again' },
    injection: search,
    errorClass: 'bad-response',
  },
  { name: 'cannot search', fault: { kind: 'status', status: 500 }, injection: search, errorClass: 'server-error' },
];

it.concurrent.each(cases)(
  'an Auth Module that $name is `$errorClass`, holds the termination up, and completes it once it is well',
  async ({ fault, injection, errorClass, name }) => {
    const organizationId = `org ${name}`.replaceAll(/[^a-z0-9]/g, '-');
    const user = { organizationId, userId: 'grace' };
    await signIn(stack, { ...user, sessionId: 's1', chainIds: ['c1'] }, { ...user, sessionId: 's2', chainIds: ['c2'] });
    const mend = stack.authModule.inject(fault, {
      ...injection,
      when: (each) => each.organizationId === organizationId,
    });

    const answer = await terminate(stack, organizationId, 'users/grace/sessions/terminate', { prefer: 'wait=1' });
    expect(answer.status, answer.text).toBe(202);
    expect(answer.body).toMatchObject({ status: 'running', completedAt: null, accessEndsBy: null });
    expect(await listSessions(stack, organizationId, 'grace')).toEqual([]);
    const { id } = answer.body;
    const running = await eventually(
      () => look(stack, organizationId, id),
      ({ lastErrorClass }) => lastErrorClass !== null,
    );
    expect(running).toMatchObject({ status: 'running', lastErrorClass: errorClass });
    expect(running.attempts).toBeGreaterThan(0);

    mend();
    await hurry(stack, id);
    const completed = await untilCompleted(stack, { organizationId, id });
    expect(completed).toMatchObject({ sessions: { total: 2, pending: 0 }, chains: { total: 2, pending: 0 } });
    expect(stack.authModule.chains.alive(organizationId)).toEqual([]);
    expect(['s1', 's2'].map((session) => stack.authModule.chains.isSessionEnded(organizationId, session))).toEqual([
      true,
      true,
    ]);

    const { text } = await historyOf(stack, id);
    const audit = await call(stack, 'GET', `/v1/organizations/${organizationId}/audit-events`, {
      token: await tokens(stack.issuer).orgAdmin(organizationId),
    });
    expect(text).toContain(id);
    expect([text, answer.text, JSON.stringify(completed), audit.text].join()).not.toMatch(
      /secret-of-the-body|not-asked|foreign/,
    );
  },
);

const delaysOf = async (id: string) => delaysIn((await historyOf(stack, id)).history);

it.concurrent.each([
  { name: 'seconds', retryAfter: '120', least: 120, most: 120 },
  { name: 'zero, which would end retries for good', retryAfter: '0', least: 1, most: 1 },
  { name: 'a date', retryAfter: () => new Date(Date.now() + 300_000).toUTCString(), least: 290, most: 300 },
  { name: 'a date in the past', retryAfter: 'Sun, 06 Nov 1994 08:49:37 GMT', least: 1, most: 1 },
  { name: 'a year', retryAfter: '31536000', least: 900, most: 900 },
  { name: 'garbage', retryAfter: 'soon', least: 0, most: 0.5 },
  { name: 'a negative number', retryAfter: '-5', least: 0, most: 0.5 },
])('a `Retry-After` of $name is waited for within its bounds', async ({ name, retryAfter, least, most }) => {
  for (const code of [429, 503]) {
    const organizationId = `retry-after-${code}-${name.replaceAll(/[^a-z]/g, '-')}`;
    await signIn(stack, { organizationId, userId: 'grace', sessionId: 's1', chainIds: ['c1'] });
    const asked = typeof retryAfter === 'string' ? retryAfter : retryAfter();
    const mend = stack.authModule.inject(
      { kind: 'status', status: code, retryAfter: asked },
      { when: (each) => each.organizationId === organizationId },
    );
    const { body } = await terminate(stack, organizationId, 'sessions/s1/terminate', { prefer: 'wait=1' });
    const [seconds] = await eventually(
      () => delaysOf(body.id),
      (delays) => delays.length > 0,
    );
    expect(seconds).toBeGreaterThan(least === 0 ? 0.3 : least - 0.001);
    expect(seconds).toBeLessThanOrEqual(most);
    mend();
    await hurry(stack, body.id);
    await untilCompleted(stack, body);
  }
});

it('an Auth Module that lies once is found out by the sweep, within the same request', async () => {
  stack.authModule.clear();
  await signIn(stack, { organizationId: 'liar', userId: 'grace', sessionId: 's1', chainIds: ['c1', 'c2'] });
  stack.authModule.inject({ kind: 'lie' }, { times: 1, endpoint: 'invalidate' });
  const { status: code, body } = await terminate(stack, 'liar', 'sessions/s1/terminate', { prefer: 'wait=20' });
  expect([200, 202]).toContain(code);
  expect(body).toMatchObject({ chains: { total: 2, confirmed: 2, alreadyDead: 0, pending: 0 } });
  expect(stack.authModule.chains.alive('liar')).toEqual([]);
});

it('a slow Auth Module is waited for', async () => {
  stack.authModule.clear();
  await signIn(stack, { organizationId: 'slow', userId: 'grace', sessionId: 's1', chainIds: ['c1'] });
  stack.authModule.inject({ kind: 'slow', latencyMs: 200 });
  const { status: code, body } = await terminate(stack, 'slow', 'sessions/s1/terminate', { prefer: 'wait=20' });
  expect([200, 202]).toContain(code);
  expect(body).toMatchObject({ status: 'completed', lastErrorClass: null });
});

it('an Auth Module that nobody can reach is `unreachable`', async () => {
  stack.authModule.clear();
  await signIn(stack, { organizationId: 'gone', userId: 'grace', sessionId: 's1', chainIds: ['c1'] });
  await stack.authModule.stop();
  const { status: code, body } = await terminate(stack, 'gone', 'sessions/s1/terminate', { prefer: 'wait=1' });
  expect(code).toBe(202);
  await eventually(
    () => look(stack, 'gone', body.id),
    ({ lastErrorClass }) => lastErrorClass === 'unreachable',
  );
  await stack.authModule.restart();
  await hurry(stack, body.id);
  await untilCompleted(stack, body);
});

it('an Auth Module that lies every time is asked less and less often, for nothing it says is progress', async () => {
  await signIn(stack, { organizationId: 'inveterate', userId: 'grace', sessionId: 's1', chainIds: ['c1'] });
  const mend = stack.authModule.inject({ kind: 'lie' }, { endpoint: 'invalidate' });
  const { body } = await terminate(stack, 'inveterate', 'sessions/s1/terminate', { prefer: 'wait=1' });
  const [first = 0, , third = 0] = await eventually(
    () => delaysOf(body.id),
    (delays) => delays.length > 2,
  );
  expect(third).toBeGreaterThan(first * 2);
  expect(await look(stack, 'inveterate', body.id)).toMatchObject({
    status: 'running',
    lastErrorClass: 'rejected',
    chains: { total: 1, pending: 1 },
  });
  mend();
  await hurry(stack, body.id);
  await untilCompleted(stack, body);
});

it('a chain told in words that nobody can keep is killed all the same, and holds up no other', async () => {
  const organizationId = 'odd';
  const now = new Date().toISOString();
  const odd = [
    { supportAccessGrantId: 'secret-of-the-body' },
    { supportAccessGrantId: 'A'.repeat(255) },
    { sessionStartedAt: '0000-01-01T00:00:00.000Z' },
    { sessionStartedAt: '0001-01-01T00:00:00.000Z' },
    { sessionStartedAt: '1970-01-01T00:00:00.000Z' },
    {},
  ];
  for (const [n, each] of odd.entries())
    stack.authModule.chains.add({
      organizationId,
      userId: 'grace',
      sessionId: `s${n}`,
      chainId: `c${n}`,
      sessionStartedAt: now,
      ...each,
    });
  const { body } = await terminate(stack, organizationId, 'sessions/terminate', { prefer: 'wait=20' });
  const completed = await untilCompleted(stack, body);
  expect(completed).toMatchObject({ lastErrorClass: null, chains: { total: odd.length, pending: 0 } });
  expect(stack.authModule.chains.alive(organizationId)).toEqual([]);
});

const failuresOf = async (id: string) => {
  const { raw } = await stack.temporal.workflow.getHandle(terminationWorkflowId(id)).describe();
  return JSON.stringify((raw.pendingActivities ?? []).map(({ lastFailure }) => lastFailure));
};

it('an activity that fails tells its history the code of the error, and not what the error quotes', async () => {
  const organizationId = 'quoted';
  await signIn(stack, { organizationId, userId: 'grace', sessionId: 'secret-of-the-row', chainIds: ['c1'] });
  await stack.database.query(`create function quote_row() returns trigger language plpgsql as $$ begin
    if new.organization_id = 'quoted' and new.termination_id is not null then
      raise exception 'cannot write %', new.id using errcode = '22P02';
    end if;
    return new;
  end $$`);
  await stack.database.query(
    'create trigger quote_row before update on sessions for each row execute function quote_row()',
  );
  const { body } = await terminate(stack, organizationId, 'users/grace/sessions/terminate', { prefer: 'wait=1' });
  const failure = await eventually(
    () => failuresOf(body.id),
    (text) => text.includes('22P02'),
  );
  expect(failure).not.toContain('secret-of-the-row');
  expect(failure).toMatch(/src\/activities\/termination\/\w/);
  await stack.database.query('drop trigger quote_row on sessions');
  await untilCompleted(stack, body);
  expect((await historyOf(stack, body.id)).text).not.toContain('secret-of-the-row');
});
