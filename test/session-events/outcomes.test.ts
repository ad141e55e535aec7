import { randomUUID } from 'node:crypto';
import { expect, it } from 'vitest';
import { call, eventually, tokens } from '../harness/client.ts';
import { event, report, started } from '../harness/events.ts';
import { useStack } from '../harness/stack.ts';
import { auditOf, listSessions, signIn, terminate, untilCompleted } from '../harness/terminations.ts';

const stack = useStack();
const acme = (sessionId: string, userId = 'grace') => ({ organizationId: 'acme', userId, sessionId });
const outcomes = async (events: object[], extra?: object) =>
  (await report(stack, events, extra)).map(({ outcome, reason }) =>
    reason === undefined ? outcome : `${outcome} ${reason}`,
  );
const soon = (ms: number) => new Date(Date.now() + ms).toISOString();

it('a new event is accepted, its repeat a duplicate, an older one that tells nothing new stale', async () => {
  const first = started({ ...acme('o1'), chainId: 'o1' });
  expect(await outcomes([first, first])).toEqual(['accepted', 'duplicate']);
  expect(await outcomes([first])).toEqual(['duplicate']);
  expect(await outcomes([{ ...first, eventId: randomUUID() }])).toEqual(['stale']);
  expect(
    await outcomes([
      event('chain.started', {
        ...acme('o1'),
        startedAt: first.startedAt,
        occurredAt: first.occurredAt,
        chainId: 'o1-b',
      }),
    ]),
  ).toEqual(['accepted']);
  expect((await listSessions(stack, 'acme', 'grace'))[0]).toMatchObject({
    id: 'o1',
    refreshTokenChains: { alive: 2, dead: 0 },
  });
});

it('a malformed event rejects itself and nothing else, and is named where it has an id', async () => {
  const good = [started(acme('m1', 'henry')), started(acme('m2', 'henry'))];
  const bad = [
    null,
    7,
    'text',
    [],
    {},
    { ...started(acme('m3', 'henry')), extra: true },
    { ...started(acme('m3', 'henry')), startedAt: 'yesterday' },
    { ...started(acme('m3', 'henry')), startedAt: '1970-01-01T00:00:00Z' },
    { ...started(acme('m3', 'henry')), type: 'session.vanished' },
    { ...started(acme('m3', 'henry')), userId: '' },
    { ...started(acme('m3', 'henry')), sessionId: 'a\u0000b' },
    { ...started(acme('m3', 'henry')), supportAccessGrantId: 'no-uuid' },
    { ...started(acme('m3', 'henry')), supportAccessGrantId: randomUUID() },
    event('chain.started', acme('m3', 'henry')),
  ];
  const results = await report(stack, [good[0], ...bad, good[1]]);
  expect(results.map(({ outcome }) => outcome)).toEqual(['accepted', ...bad.map(() => 'rejected'), 'accepted']);
  expect(results.slice(1, -1).every(({ reason }) => reason === 'invalid')).toBe(true);
  expect(results.map(({ eventId }) => eventId)).toEqual([
    good[0]?.eventId,
    ...bad.map((each) => (typeof each === 'object' && each !== null && 'eventId' in each ? each.eventId : null)),
    good[1]?.eventId,
  ]);
  expect((await listSessions(stack, 'acme', 'henry', 'all')).map(({ id }) => id).toSorted()).toEqual(['m1', 'm2']);
});

it('a chain of one session cannot become another’s, nor a session another user’s', async () => {
  await report(stack, [started({ ...acme('x1', 'ivan'), chainId: 'x' }), started(acme('x2', 'ivan'))]);
  expect(
    await outcomes([
      event('chain.started', { ...acme('x2', 'ivan'), chainId: 'x' }),
      event('session.refreshed', acme('x1', 'judy')),
    ]),
  ).toEqual(['rejected invalid', 'rejected invalid']);
  expect(await listSessions(stack, 'acme', 'judy', 'all')).toEqual([]);
});

it('one id in two organizations is two sessions', async () => {
  await report(stack, [
    started({ ...acme('twin'), organizationId: 'one', chainId: 'twin' }),
    started({ ...acme('twin', 'heidi'), organizationId: 'two', chainId: 'twin' }),
  ]);
  await report(stack, [event('session.ended', { ...acme('twin'), organizationId: 'one' })]);
  expect(await listSessions(stack, 'one', 'grace')).toEqual([]);
  expect(await listSessions(stack, 'two', 'heidi')).toMatchObject([{ id: 'twin', status: 'active' }]);
});

it('a machine that speaks for one organization is not heard about another', async () => {
  const token = await tokens(stack.issuer).machine('sessions:ingest', 'mine');
  const body = {
    events: [started({ ...acme('b1'), organizationId: 'mine' }), started({ ...acme('b2'), organizationId: 'theirs' })],
  };
  const answer = await call(stack, 'POST', '/v1/session-events', { token, body });
  expect(answer.body).toMatchObject({ results: [{ outcome: 'accepted' }, { outcome: 'rejected' }] });
  expect(await listSessions(stack, 'theirs', 'grace', 'all')).toEqual([]);
});

it('an end that comes first leaves a tombstone, in which nothing starts', async () => {
  const own = acme('t1', 'tom');
  expect(await outcomes([event('session.ended', own)])).toEqual(['accepted']);
  const late = started({ ...own, startedAt: soon(-60_000) });
  expect(await outcomes([late])).toEqual(['rejected session-ended']);
  expect(await outcomes([late])).toEqual(['rejected session-ended']);
  expect(await outcomes([started({ ...own, startedAt: soon(1_000) })])).toEqual(['rejected session-ended']);
  expect(await listSessions(stack, 'acme', 'tom', 'all')).toMatchObject([
    { id: 't1', status: 'ended', endReason: 'signed-out' },
  ]);
});

it('an expired session is not ended: a later expiry brings it back', async () => {
  const own = acme('e1', 'eve');
  await report(stack, [started({ ...own, expiresAt: soon(-1_000), startedAt: soon(-5_000) })]);
  expect(await listSessions(stack, 'acme', 'eve', 'all')).toMatchObject([{ status: 'expired', endReason: 'expired' }]);
  expect(
    await outcomes([
      event('session.refreshed', { ...own, startedAt: soon(-5_000), occurredAt: soon(0), expiresAt: soon(60_000) }),
    ]),
  ).toEqual(['accepted']);
  expect(await listSessions(stack, 'acme', 'eve')).toMatchObject([{ status: 'active', endedAt: null }]);
});

it.each([
  ['user', 'users/grace/sessions/terminate'],
  ['organization', 'sessions/terminate'],
])(
  'a start at or before a %s’s fence is rejected, stored as ended, and its chain killed, however late it is told',
  async (scope, path) => {
    const organizationId = `fenced-${scope}`;
    const { body } = await terminate(stack, organizationId, path, { prefer: 'wait=20' });
    const own = { organizationId, userId: 'grace' };
    stack.authModule.chains.add({ ...own, sessionId: 'late', chainId: 'late', sessionStartedAt: body.cutoff });
    const late = started({ ...own, sessionId: 'late', chainId: 'late', startedAt: body.cutoff });
    const after = started({
      ...own,
      sessionId: 'after',
      startedAt: new Date(Date.parse(body.cutoff) + 1).toISOString(),
    });
    expect(await outcomes([late, after])).toEqual(['rejected fenced', 'accepted']);
    expect((await listSessions(stack, organizationId, 'grace')).map(({ id }) => id)).toEqual(['after']);
    expect(await listSessions(stack, organizationId, 'grace', 'ended')).toMatchObject([
      { id: 'late', status: 'ended', endReason: 'rejected' },
    ]);
    await eventually(
      () => Promise.resolve(stack.authModule.chains.isAlive(organizationId, 'late')),
      (alive) => !alive,
    );
    const sweeps = async () =>
      (await auditOf(stack, organizationId))
        .filter(({ action, actor }) => action === 'termination.requested' && actor.kind === 'system')
        .map(({ details }) => String(details.terminationId));
    const [sweep = '', ...others] = await sweeps();
    expect(others).toEqual([]);
    const swept = await untilCompleted(stack, { organizationId, id: sweep });
    // what was swept and confirmed needs no second sweep for a repeat; who tells of it anew may know of another chain
    expect(await outcomes([late])).toEqual(['rejected fenced']);
    expect(await sweeps()).toEqual([sweep]);
    expect(await outcomes([{ ...late, eventId: randomUUID() }])).toEqual(['rejected fenced']);
    expect(await sweeps()).toHaveLength(2);
    expect(swept).toMatchObject({ scope: { kind: scope }, cutoff: body.cutoff, chains: { total: 1, confirmed: 1 } });
    expect((await listSessions(stack, organizationId, 'grace')).map(({ id }) => id)).toEqual(['after']);
  },
);

it('what is told of late while the fence’s termination still runs is swept by that one', async () => {
  const organizationId = 'fenced-running';
  const mend = stack.authModule.inject(
    { kind: 'status', status: 503, retryAfter: '1' },
    { when: (each) => each.organizationId === organizationId },
  );
  const { body } = await terminate(stack, organizationId, 'users/grace/sessions/terminate');
  const own = { organizationId, userId: 'grace', sessionId: 'late', chainId: 'late' };
  stack.authModule.chains.add({ ...own, sessionStartedAt: body.cutoff });
  expect(await outcomes([started({ ...own, startedAt: body.cutoff })])).toEqual(['rejected fenced']);
  mend();
  expect(await untilCompleted(stack, body)).toMatchObject({
    cutoff: body.cutoff,
    sessions: { total: 1 },
    chains: { total: 1, confirmed: 1 },
  });
  expect((await auditOf(stack, organizationId)).map(({ action }) => action)).toEqual([
    'termination.requested',
    'termination.completed',
  ]);
});

it.each(['session.refreshed', 'chain.started'])(
  'a %s in a terminated session is rejected, and its chain killed',
  async (type) => {
    for (const path of ['sessions/s1/terminate', 'users/grace/sessions/terminate']) {
      const organizationId = `late-${type}-${path.split('/')[0]}`.replaceAll('.', '-');
      const own = { organizationId, userId: 'grace', sessionId: 's1' };
      await signIn(stack, { ...own, chainIds: ['c1'] });
      await terminate(stack, organizationId, path, { prefer: 'wait=20' });
      stack.authModule.chains.clear();
      stack.authModule.chains.add({ ...own, chainId: 'c2' });
      const late = event(type, { ...own, chainId: 'c2' });
      expect(await outcomes([late, late])).toEqual(['rejected session-ended', 'rejected session-ended']);
      await eventually(
        () => Promise.resolve(stack.authModule.chains.isAlive(organizationId, 'c2')),
        (alive) => !alive,
      );
      expect(await listSessions(stack, organizationId, 'grace')).toEqual([]);
      await eventually(
        () => listSessions(stack, organizationId, 'grace', 'ended'),
        ([session]) => session?.refreshTokenChains.dead === 2 && session.refreshTokenChains.alive === 0,
      );
    }
  },
);

it('a restart of a terminated id is rejected, and swept', async () => {
  const own = { organizationId: 'restart', userId: 'grace', sessionId: 's1' };
  await signIn(stack, { ...own, chainIds: ['c1'] });
  await terminate(stack, 'restart', 'sessions/s1/terminate', { prefer: 'wait=20' });
  stack.authModule.chains.clear();
  stack.authModule.chains.add({ ...own, chainId: 'c2' });
  expect(await outcomes([started({ ...own, chainId: 'c2', startedAt: soon(5_000) })])).toEqual([
    'rejected session-ended',
  ]);
  await eventually(
    () => Promise.resolve(stack.authModule.chains.isAlive('restart', 'c2')),
    (alive) => !alive,
  );
  expect(await listSessions(stack, 'restart', 'grace')).toEqual([]);
});

it('a signed-out session’s chains may live, and tell of themselves', async () => {
  const own = acme('out', 'olga');
  await report(stack, [started({ ...own, chainId: 'out-1' }), event('session.ended', own)]);
  expect(
    await outcomes([
      event('chain.started', { ...own, chainId: 'out-2' }),
      event('session.refreshed', { ...own, chainId: 'out-1', occurredAt: soon(1_000) }),
    ]),
  ).toEqual(['accepted', 'accepted']);
  expect(await listSessions(stack, 'acme', 'olga', 'all')).toMatchObject([
    { status: 'ended', refreshTokenChains: { alive: 2 } },
  ]);
});
