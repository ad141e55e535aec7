import { expect, it } from 'vitest';
import pg from 'pg';
import { call, tokens } from '../harness/client.ts';
import { event, report } from '../harness/events.ts';
import { useStack } from '../harness/stack.ts';
import {
  auditOf,
  expectPartition,
  listSessions,
  look,
  observer,
  signIn,
  terminate,
  untilCompleted,
} from '../harness/terminations.ts';

const stack = useStack();
const people = (organizationId: string, userId: string, count: number) =>
  Array.from({ length: count }, (_, n) => ({
    organizationId,
    userId,
    sessionId: `${userId}-${n}`,
    chainIds: [`${userId}-chain-${n}`],
  }));
const aliveIn = (organizationId: string) => stack.authModule.chains.alive(organizationId).map(({ chainId }) => chainId);

it('ending what is not there completes with zeros, for a user unknown here as for one known elsewhere', async () => {
  await signIn(stack, ...people('elsewhere', 'grace', 1));
  for (const path of ['users/grace/sessions/terminate', 'users/nobody/sessions/terminate', 'sessions/terminate']) {
    const { status, body } = await terminate(stack, 'empty', path, { prefer: 'wait=20' });
    expect([200, 202]).toContain(status);
    expect(body).toMatchObject({
      status: 'completed',
      sessions: { total: 0, pending: 0 },
      chains: { total: 0, confirmed: 0, alreadyDead: 0, pending: 0 },
    });
  }
  expect(aliveIn('elsewhere')).toEqual(['grace-chain-0']);
});

it('a sign-in without chains is sent to the Auth Module once, and its end confirmed', async () => {
  await signIn(
    stack,
    { organizationId: 'chainless', userId: 'grace', sessionId: 's1' },
    { organizationId: 'chainless', userId: 'grace', sessionId: 's2' },
  );
  const { status, body } = await terminate(stack, 'chainless', 'users/grace/sessions/terminate', { prefer: 'wait=20' });
  expect([200, 202]).toContain(status);
  expect(body).toMatchObject({ sessions: { total: 2, pending: 0 }, chains: { total: 0 } });
  const sent = stack.authModule.calls.flatMap((each) =>
    each.endpoint === 'invalidate' && each.organizationId === 'chainless' ? each.body.sessionIds : [],
  );
  expect(sent.toSorted()).toEqual(['s1', 's2']);
});

it('the caller’s own session is kept unless the caller includes it; named by itself it ends', async () => {
  for (const scope of ['users/boss/sessions/terminate', 'sessions/terminate']) {
    const organizationId = `own-${scope.startsWith('users') ? 'user' : 'organization'}`;
    await signIn(stack, ...people(organizationId, 'boss', 3));
    const token = await tokens(stack.issuer).orgAdmin(organizationId, { sub: 'boss', sid: 'boss-1' });
    const kept = await terminate(stack, organizationId, scope, { token, prefer: 'wait=20' });
    expect(kept.body).toMatchObject({
      status: 'completed',
      sessions: { total: 2 },
      chains: { total: 2, confirmed: 2 },
    });
    expect(aliveIn(organizationId)).toEqual(['boss-chain-1']);
    expect((await listSessions(stack, organizationId, 'boss')).map(({ id }) => id)).toEqual(['boss-1']);
    const all = await terminate(stack, organizationId, scope, { token, body: { includeOwn: true }, prefer: 'wait=20' });
    expect(all.body).toMatchObject({ status: 'completed', chains: { total: 1, confirmed: 1 } });
    expect(aliveIn(organizationId)).toEqual([]);
    const next = await call(stack, 'GET', `/v1/organizations/${organizationId}/terminations`, { token });
    expect({ status: next.status, code: next.body['code'] }).toEqual({ status: 401, code: 'session-ended' });
  }
  await signIn(stack, ...people('own-single', 'boss', 1));
  const token = await tokens(stack.issuer).orgAdmin('own-single', { sub: 'boss', sid: 'boss-0' });
  const single = await terminate(stack, 'own-single', 'sessions/boss-0/terminate', { token, prefer: 'wait=20' });
  expect(single.body.status).toBe('completed');
  const next = await terminate(stack, 'own-single', 'sessions/boss-0/terminate', { token });
  expect({ status: next.status, body: next.body }).toMatchObject({ status: 401, body: { code: 'session-ended' } });
});

it('`exceptSessionIds` are kept with their chains, here and at the Auth Module', async () => {
  await signIn(stack, ...people('excepting', 'grace', 5));
  const { body } = await terminate(stack, 'excepting', 'users/grace/sessions/terminate', {
    body: { exceptSessionIds: ['grace-1', 'grace-3', 'unheard-of'] },
    prefer: 'wait=20',
  });
  expect(body).toMatchObject({ status: 'completed', sessions: { total: 3 }, chains: { total: 3, confirmed: 3 } });
  expect(aliveIn('excepting')).toEqual(['grace-chain-1', 'grace-chain-3']);
  expect((await listSessions(stack, 'excepting', 'grace')).map(({ id }) => id).toSorted()).toEqual([
    'grace-1',
    'grace-3',
  ]);
});

it('a later terminate-all that keeps a session does not revive what an earlier one has ended', async () => {
  await signIn(stack, ...people('reviving', 'grace', 2));
  await terminate(stack, 'reviving', 'users/grace/sessions/terminate', { prefer: 'wait=20' });
  for (const path of ['users/grace/sessions/terminate', 'sessions/terminate']) {
    const { body } = await terminate(stack, 'reviving', path, {
      body: { exceptSessionIds: ['grace-0'] },
      prefer: 'wait=20',
    });
    expect(body.status).toBe('completed');
    expect(await listSessions(stack, 'reviving', 'grace')).toEqual([]);
  }
  // nor while neither has run yet
  const mend = stack.authModule.inject(
    { kind: 'status', status: 503 },
    { when: ({ organizationId }) => organizationId === 'reviving-2' },
  );
  await signIn(stack, ...people('reviving-2', 'grace', 2));
  const first = await terminate(stack, 'reviving-2', 'users/grace/sessions/terminate');
  const second = await terminate(stack, 'reviving-2', 'users/grace/sessions/terminate', {
    body: { exceptSessionIds: ['grace-0'] },
  });
  expect(second.body.id).not.toBe(first.body.id);
  expect(await listSessions(stack, 'reviving-2', 'grace')).toEqual([]);
  mend();
  await untilCompleted(stack, first.body);
  await untilCompleted(stack, second.body);
  expect(aliveIn('reviving-2')).toEqual([]);
});

it('the same user, session and chain ids in another organization are untouched', async () => {
  await signIn(stack, ...people('here', 'grace', 2), ...people('there', 'grace', 2));
  for (const path of ['sessions/grace-0/terminate', 'users/grace/sessions/terminate', 'sessions/terminate'])
    await terminate(stack, 'here', path, { prefer: 'wait=20' });
  expect(aliveIn('here')).toEqual([]);
  expect(aliveIn('there')).toEqual(['grace-chain-0', 'grace-chain-1']);
  expect(await listSessions(stack, 'there', 'grace')).toMatchObject([{ status: 'active' }, { status: 'active' }]);
});

it('an id that is foreign, absent or ill-formed gets one and the same 404', async () => {
  await signIn(stack, ...people('theirs', 'grace', 1));
  const theirs = await terminate(stack, 'theirs', 'sessions/grace-0/terminate', { prefer: 'wait=20' });
  const token = await tokens(stack.issuer).orgAdmin('ours');
  const get = (id: string) => call(stack, 'GET', `/v1/organizations/ours/terminations/${id}`, { token });
  const end = (id: string) =>
    call(stack, 'POST', `/v1/organizations/ours/sessions/${id}/terminate`, { token, body: {} });
  const answers = await Promise.all([
    get(theirs.body.id),
    get('01900000-0000-7000-8000-000000000000'),
    get('no-id'),
    end('grace-0'),
    end('absent'),
    end('%00'),
    end('x'.repeat(300)),
  ]);
  const shown = new Set(
    answers.map(({ status, text, body }) => `${status} ${text.replace(String(body['requestId']), '')}`),
  );
  expect([...shown]).toHaveLength(1);
  expect([...shown][0]).toMatch(/^404 /);
});

it('signed-out and expired sessions are terminated for their chains; one that a termination ended is answered with that termination', async () => {
  const soon = new Date(Date.now() + 60_000).toISOString();
  await signIn(stack, ...people('lapsed', 'grace', 3));
  const own = { organizationId: 'lapsed', userId: 'grace' };
  await report(stack, [
    event('session.ended', { ...own, sessionId: 'grace-0' }),
    event('session.refreshed', { ...own, sessionId: 'grace-1', expiresAt: soon }),
  ]);
  await stack.database.moveClock(120_000);
  const lapsed = await listSessions(stack, 'lapsed', 'grace', 'all');
  expect(Object.fromEntries(lapsed.map(({ id, status, endReason }) => [id, [status, endReason]]))).toEqual({
    'grace-0': ['ended', 'signed-out'],
    'grace-1': ['expired', 'expired'],
    'grace-2': ['active', null],
  });
  for (const id of ['grace-0', 'grace-1', 'grace-2']) {
    const first = await terminate(stack, 'lapsed', `sessions/${id}/terminate`, { prefer: 'wait=20' });
    expect({ status: first.body.status, chains: first.body.chains }).toMatchObject({
      status: 'completed',
      chains: { total: 1, confirmed: 1 },
    });
    const again = await terminate(stack, 'lapsed', `sessions/${id}/terminate`, { prefer: 'wait=20' });
    expect({ status: again.status, id: again.body.id }).toEqual({ status: 200, id: first.body.id });
  }
  expect(aliveIn('lapsed')).toEqual([]);
  expect((await auditOf(stack, 'lapsed')).filter(({ action }) => action === 'termination.requested')).toHaveLength(3);
});

it('an equal request joins the running termination and raises its cutoff; any other is a termination of its own', async () => {
  await signIn(stack, ...people('joining', 'grace', 2));
  const mend = stack.authModule.inject(
    { kind: 'status', status: 503, retryAfter: '1' },
    { when: ({ organizationId }) => organizationId === 'joining' },
  );
  const path = 'users/grace/sessions/terminate';
  const first = await terminate(stack, 'joining', path, { body: { reason: 'stolen' } });
  const equal = await terminate(stack, 'joining', path, { body: { reason: 'stolen again' } });
  expect({ status: equal.status, id: equal.body.id }).toEqual({ status: 202, id: first.body.id });
  expect(Date.parse(equal.body.cutoff)).toBeGreaterThan(Date.parse(first.body.cutoff));
  const keeping = await terminate(stack, 'joining', path, { body: { exceptSessionIds: ['grace-0'] } });
  const everybody = await terminate(stack, 'joining', 'sessions/terminate');
  expect(new Set([first.body.id, keeping.body.id, everybody.body.id]).size).toBe(3);
  const single = await terminate(stack, 'joining', 'sessions/grace-1/terminate');
  expect({ status: single.status, id: single.body.id }).toEqual({ status: 202, id: first.body.id });
  mend();
  for (const { body } of [first, keeping, everybody]) await untilCompleted(stack, body);
  const audit = await auditOf(stack, 'joining');
  expect(audit.filter(({ action }) => action === 'termination.requested')).toHaveLength(3);
  expect(
    audit
      .filter(({ action }) => action === 'termination.joined')
      .map(({ details, reason }) => [details.terminationId, reason]),
  ).toEqual([
    [first.body.id, 'stolen again'],
    [first.body.id, null],
  ]);
  expect(audit.filter(({ action }) => action === 'termination.completed')).toHaveLength(3);
  const later = await terminate(stack, 'joining', path, { prefer: 'wait=20' });
  expect(later.body.id).not.toBe(first.body.id);
});

it('a session that was signed in between the request and one that joins it is ended by the joined cutoff', async () => {
  const mend = stack.authModule.inject(
    { kind: 'status', status: 503, retryAfter: '1' },
    { when: ({ organizationId }) => organizationId === 'between' },
  );
  await signIn(stack, ...people('between', 'grace', 1));
  const first = await terminate(stack, 'between', 'users/grace/sessions/terminate');
  const offset = await stack.database.query<{ now: string }>('select current_instant()::text as now');
  await signIn(stack, {
    organizationId: 'between',
    userId: 'grace',
    sessionId: 'late',
    chainIds: ['late'],
    startedAt: new Date(offset[0]?.now ?? '').toISOString(),
  });
  expect((await listSessions(stack, 'between', 'grace')).map(({ id }) => id)).toEqual(['late']);
  await terminate(stack, 'between', 'users/grace/sessions/terminate');
  expect(await listSessions(stack, 'between', 'grace')).toEqual([]);
  mend();
  expect(await untilCompleted(stack, first.body)).toMatchObject({
    sessions: { total: 2 },
    chains: { total: 2, confirmed: 2 },
  });
  expect(aliveIn('between')).toEqual([]);
});

it('1,000 sessions with 1,500 chains are one termination of several pages, counted exactly', async () => {
  const sessions = Array.from({ length: 1_000 }, (_, n) => ({
    organizationId: 'large',
    userId: `u${n % 7}`,
    sessionId: `s${n}`,
    chainIds: n % 2 === 0 ? [`c${n}`, `d${n}`] : [`c${n}`],
  }));
  await signIn(stack, ...sessions);
  const { body } = await terminate(stack, 'large', 'sessions/terminate');
  expect(await untilCompleted(stack, body)).toMatchObject({
    sessions: { total: 1_000, pending: 0 },
    chains: { total: 1_500, confirmed: 1_500, alreadyDead: 0, pending: 0 },
  });
  expect(aliveIn('large')).toEqual([]);
  const pages = stack.authModule.calls.filter(
    (each) => each.endpoint === 'invalidate' && each.organizationId === 'large',
  );
  expect(pages.length).toBeGreaterThan(2);
});

it('chains that no event ever told of are found by the sweep, killed, counted and shown', async () => {
  await signIn(stack, ...people('untold', 'grace', 1));
  const before = new Date(Date.now() - 3_600_000).toISOString();
  stack.authModule.chains.addMany(
    Array.from({ length: 700 }, (_, n) => ({
      organizationId: 'untold',
      userId: 'grace',
      sessionId: `untold-${n}`,
      chainId: `untold-${n}`,
      sessionStartedAt: before,
    })),
  );
  const { body } = await terminate(stack, 'untold', 'users/grace/sessions/terminate');
  expect(await untilCompleted(stack, body)).toMatchObject({
    sessions: { total: 701, pending: 0 },
    chains: { total: 701, confirmed: 701, pending: 0 },
  });
  expect(aliveIn('untold')).toEqual([]);
  expect(await listSessions(stack, 'untold', 'grace', 'ended')).toHaveLength(701);
});

it('a chain born after the fence in a session from before it dies; one of a session from after it lives', async () => {
  await signIn(stack, ...people('born', 'grace', 1));
  const mend = stack.authModule.inject(
    { kind: 'status', status: 503, retryAfter: '1' },
    { when: ({ organizationId }) => organizationId === 'born' },
  );
  const { body } = await terminate(stack, 'born', 'users/grace/sessions/terminate');
  stack.authModule.chains.add({
    organizationId: 'born',
    userId: 'grace',
    sessionId: 'grace-0',
    chainId: 'young',
    sessionStartedAt: new Date(Date.now() - 60_000).toISOString(),
  });
  const after = new Date(Date.parse(body.cutoff) + 1).toISOString();
  await signIn(stack, {
    organizationId: 'born',
    userId: 'grace',
    sessionId: 'next',
    chainIds: ['next'],
    startedAt: after,
  });
  mend();
  expect(await untilCompleted(stack, body)).toMatchObject({
    sessions: { total: 1 },
    chains: { total: 2, confirmed: 2 },
  });
  expect(aliveIn('born')).toEqual(['next']);
  expect((await listSessions(stack, 'born', 'grace')).map(({ id }) => id)).toEqual(['next']);
});

it('chains that are dead already are counted apart', async () => {
  await signIn(stack, ...people('dead', 'grace', 3));
  stack.authModule.chains.kill('dead', 'grace-chain-1');
  const { body } = await terminate(stack, 'dead', 'users/grace/sessions/terminate', { prefer: 'wait=20' });
  expect(body.chains).toEqual({ total: 3, confirmed: 2, alreadyDead: 1, pending: 0 });
  expect(
    (await listSessions(stack, 'dead', 'grace', 'ended')).map(({ refreshTokenChains }) => refreshTokenChains),
  ).toEqual(Array.from({ length: 3 }, () => ({ alive: 0, dead: 1 })));
});

it('`accessEndsBy` is when the last access token dies that could have been issued', async () => {
  await signIn(stack, ...people('token-life', 'grace', 1));
  const { body } = await terminate(stack, 'token-life', 'users/grace/sessions/terminate', { prefer: 'wait=20' });
  const ends = Date.parse(body.accessEndsBy ?? '');
  expect(ends).toBeGreaterThanOrEqual(Date.parse(body.cutoff) + 300_000);
  expect(ends).toBeLessThanOrEqual(Date.parse(body.completedAt ?? '') + 300_000);
});

it('a session whose row an ingest holds while all are ended is not passed over', async () => {
  await signIn(
    stack,
    { organizationId: 'held', userId: 'grace', sessionId: 's1' },
    { organizationId: 'held', userId: 'grace', sessionId: 's2' },
  );
  const ingest = new pg.Client({ connectionString: stack.database.url });
  await ingest.connect();
  try {
    await ingest.query(`begin; select from sessions where organization_id = 'held' and id = 's1' for no key update`);
    const { body } = await terminate(stack, 'held', 'users/grace/sessions/terminate', { prefer: 'wait=1' });
    expectPartition(body);
    expect(body.status).toBe('running');
    await ingest.query('commit');
    expect(await untilCompleted(stack, body)).toMatchObject({ sessions: { total: 2, pending: 0 } });
    expect(stack.authModule.chains.isSessionEnded('held', 's1')).toBe(true);
  } finally {
    await ingest.end();
  }
});

it('the list of terminations is newest first, with every field of the resource', async () => {
  const ids: string[] = [];
  for (let n = 0; n < 3; n++)
    ids.push(
      (await terminate(stack, 'listed', `users/u${n}/sessions/terminate`, { body: { reason: `n ${n}` } })).body.id,
    );
  const page = await call<{ items: { id: string }[]; nextCursor: string }>(
    stack,
    'GET',
    '/v1/organizations/listed/terminations?limit=2',
    { token: await observer(stack, 'listed') },
  );
  expect(page.body.items.map(({ id }) => id)).toEqual(ids.toReversed().slice(0, 2));
  expect(page.body.items[0]).toMatchObject({
    scope: { kind: 'user', id: 'u2' },
    reason: 'n 2',
    requestedBy: { kind: 'org-admin', id: 'admin', sessionId: 'sid-of-admin' },
  });
  await look(stack, 'listed', ids[0] ?? '');
});
