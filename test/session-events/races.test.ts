import { expect, it } from 'vitest';
import { call, eventually, tokens } from '../harness/client.ts';
import { event, type EventResult, started } from '../harness/events.ts';
import { type Stack, useStack } from '../harness/stack.ts';
import { listSessions, look, observer, signIn, terminate } from '../harness/terminations.ts';
import type { TerminationView } from '../../src/rules/termination.ts';

const stack: Stack = useStack({ environment: { DATABASE_POOL_SIZE: '30' } });

/** Every termination of the organization, the sweeps of late starts included, once all of them are completed. */
async function allCompleted(organizationId: string): Promise<TerminationView[]> {
  const token = await observer(stack, organizationId);
  const list = () =>
    call<{ items: TerminationView[] }>(stack, 'GET', `/v1/organizations/${organizationId}/terminations?limit=200`, {
      token,
    });
  const { body } = await eventually(
    list,
    ({ body: { items } }) => items.every(({ status }) => status === 'completed'),
    40_000,
  );
  for (const { id } of body.items) await look(stack, organizationId, id);
  return body.items;
}

/** Told as an Auth Module does it: again, until it is answered. */
async function tell(events: readonly object[]): Promise<EventResult[]> {
  const token = await tokens(stack.issuer).machine('sessions:ingest');
  const ask = () => call<{ results: EventResult[] }>(stack, 'POST', '/v1/session-events', { token, body: { events } });
  return (await eventually(ask, ({ status }) => status === 200)).body.results;
}

it.each([
  ['user', 'users/grace/sessions/terminate'],
  ['organization', 'sessions/terminate'],
])(
  'of 200 sign-ins in flight while a %s’s sessions are ended, none from at or before the cutoff survives and none from after it is harmed',
  async (scope, path) => {
    const tally = { rejected: 0, ended: 0, alive: 0 };
    for (let round = 0; round < 3; round++) {
      const organizationId = `race-${scope}-${round}`;
      const own = { organizationId, userId: 'grace' };
      let answered = 0;
      const begin = async (n: number) => {
        // sign-ins come in over a while; the decision falls among them
        await eventually(
          () => Promise.resolve(answered),
          (count) => count >= n - 60,
        );
        const startedAt = new Date().toISOString();
        const id = `s${n}`;
        stack.authModule.chains.add({ ...own, sessionId: id, chainId: id, sessionStartedAt: startedAt });
        const answer = await tell([started({ ...own, sessionId: id, chainId: id, startedAt })]);
        answered += 1;
        return { id, startedAt, outcome: answer[0]?.outcome };
      };
      const signIns = Array.from({ length: 200 }, (_, n) => begin(n));
      await eventually(
        () => Promise.resolve(answered),
        (count) => count >= 60 + round * 20,
      );
      const { body } = await terminate(stack, organizationId, path);
      const all = await Promise.all(signIns);
      await allCompleted(organizationId);
      const active = new Set((await listSessions(stack, organizationId, 'grace')).map(({ id }) => id));
      for (const { id, startedAt, outcome } of all) {
        const isAlive = stack.authModule.chains.isAlive(organizationId, id);
        const survives = startedAt > body.cutoff;
        expect({ id, isAlive, isActive: active.has(id) }).toEqual({ id, isAlive: survives, isActive: survives });
        // a duplicate is what an accepted one becomes where its first answer was lost
        expect(survives ? ['accepted', 'duplicate'] : ['accepted', 'duplicate', 'rejected']).toContain(outcome);
        tally[outcome === 'rejected' ? 'rejected' : survives ? 'alive' : 'ended'] += 1;
      }
    }
    // else the race was none
    expect(tally.ended).toBeGreaterThan(0);
    expect(tally.alive).toBeGreaterThan(0);
  },
);

it('of 100 sessions with a refresh and a new chain in flight each while all are ended, none keeps a chain', async () => {
  const organizationId = 'race-refresh';
  const sessions = Array.from({ length: 100 }, (_, n) => ({
    organizationId,
    userId: 'grace',
    sessionId: `s${n}`,
    chainIds: [`c${n}`],
  }));
  await signIn(stack, ...sessions);
  const refresh = async ({ sessionId }: { sessionId: string }, n: number) => {
    const own = { organizationId, userId: 'grace', sessionId };
    const chainId = `late-${n}`;
    stack.authModule.chains.add({ ...own, chainId });
    await tell([event('session.refreshed', own), event('chain.started', { ...own, chainId })]);
  };
  const [{ body }] = await Promise.all([
    terminate(stack, organizationId, 'users/grace/sessions/terminate'),
    ...sessions.map(refresh),
  ]);
  await allCompleted(organizationId);
  expect(stack.authModule.chains.alive(organizationId)).toEqual([]);
  expect(await listSessions(stack, organizationId, 'grace')).toEqual([]);
  expect((await look(stack, organizationId, body.id)).sessions.total).toBe(100);
  const shown = await listSessions(stack, organizationId, 'grace', 'ended');
  expect(shown.map(({ refreshTokenChains: { alive } }) => alive)).toEqual(Array.from({ length: 100 }, () => 0));
});

it('a chain that is told while its session’s page is at the Auth Module is settled too, though it died meanwhile', async () => {
  const own = { organizationId: 'race-told', userId: 'grace', sessionId: 's1' };
  await signIn(stack, { ...own, chainIds: ['c1'] });
  stack.authModule.inject(
    { kind: 'slow', latencyMs: 700 },
    { endpoint: 'invalidate', when: ({ organizationId }) => organizationId === own.organizationId },
  );
  const { body } = await terminate(stack, own.organizationId, 'users/grace/sessions/terminate');
  await eventually(
    () => Promise.resolve(stack.authModule.calls),
    (calls) =>
      calls.some(({ organizationId, endpoint }) => organizationId === own.organizationId && endpoint === 'invalidate'),
  );
  expect(await tell([event('chain.started', { ...own, chainId: 'dead-already' })])).toMatchObject([
    { outcome: 'rejected' },
  ]);
  await allCompleted(own.organizationId);
  expect((await look(stack, own.organizationId, body.id)).sessions.total).toBe(1);
  expect(await listSessions(stack, own.organizationId, 'grace', 'ended')).toMatchObject([
    { refreshTokenChains: { alive: 0, dead: 2 } },
  ]);
});

it('an event whose first report died between its record and its judgement is swept by the second', async () => {
  const own = { organizationId: 'race-died', userId: 'grace', sessionId: 's1' };
  await signIn(stack, { ...own, chainIds: ['c1'] });
  await terminate(stack, own.organizationId, 'sessions/s1/terminate', { prefer: 'wait=20' });
  // what an API process leaves that is killed right after its first commit
  const late = event('chain.started', { ...own, chainId: 'late' });
  await stack.database.query('insert into seen_session_events values ($1, $2, now())', [
    own.organizationId,
    late.eventId,
  ]);
  await stack.database.query(
    `insert into refresh_token_chains (organization_id, id, session_id, user_id, recorded_at) values ($1, 'late', 's1', 'grace', now())`,
    [own.organizationId],
  );
  stack.authModule.chains.clear();
  stack.authModule.chains.add({ ...own, chainId: 'late' });
  expect(await tell([late])).toMatchObject([{ outcome: 'rejected', reason: 'session-ended' }]);
  await eventually(
    () => Promise.resolve(stack.authModule.chains.isAlive(own.organizationId, 'late')),
    (alive) => !alive,
  );
});

it('ten admins who end the same sessions at once are all answered, and every counter partitions', async () => {
  const organizationId = 'race-admins';
  await signIn(
    stack,
    ...Array.from({ length: 20 }, (_, n) => ({
      organizationId,
      userId: 'grace',
      sessionId: `s${n}`,
      chainIds: [`c${n}`],
    })),
  );
  const paths = ['users/grace/sessions/terminate', 'sessions/terminate', 'sessions/s3/terminate'];
  const token = await observer(stack, organizationId);
  const answers = await Promise.all(
    Array.from({ length: 30 }, (_, n) =>
      terminate(stack, organizationId, paths[n % 3] ?? '', { token, prefer: 'wait=20' }),
    ),
  );
  expect(answers.map(({ body }) => body.status)).toEqual(answers.map(() => 'completed'));
  const all = await allCompleted(organizationId);
  expect(all.reduce((sum, { sessions }) => sum + sessions.total, 0)).toBe(20);
  expect(all.reduce((sum, { chains }) => sum + chains.confirmed + chains.alreadyDead, 0)).toBe(20);
  expect(stack.authModule.chains.alive(organizationId)).toEqual([]);
});

it('twenty batches that tell of the same sessions at once make each session once', async () => {
  const organizationId = 'race-batches';
  const events = Array.from({ length: 100 }, (_, n) =>
    started({ organizationId, userId: `u${n % 10}`, sessionId: `s${n}`, chainId: `c${n}` }),
  );
  const results = await Promise.all(
    Array.from({ length: 20 }, (_, n) => tell(n % 2 === 0 ? events : events.toReversed())),
  );
  expect(results.flat().filter(({ outcome }) => outcome === 'accepted')).toHaveLength(100);
  expect(results.flat().filter(({ outcome }) => outcome === 'duplicate')).toHaveLength(1_900);
});
