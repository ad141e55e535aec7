import { randomUUID } from 'node:crypto';
import { expect, it, onTestFinished } from 'vitest';
import { call, eventually, tokens } from '../harness/client.ts';
import { event, report, started } from '../harness/events.ts';
import { useStack } from '../harness/stack.ts';
import { auditOf, listSessions, signIn, terminate } from '../harness/terminations.ts';

const stack = useStack();

/** A live grant of the organization, as if its workflow had activated it. */
async function grant(organizationId: string, userId: string | null = null): Promise<string> {
  const id = randomUUID();
  await stack.database.query('insert into organizations (id) values ($1) on conflict do nothing', [organizationId]);
  await stack.database.query(
    `insert into support_access_grants (id, organization_id, user_id, created_by, created_at, activate_before, starts_at, expires_at, progress_at, delivered_revision, next_look_at, dispatch_after)
     values ($1, $2, $3, '{"kind":"machine","id":"settings","sessionId":null,"supportAccessGrantId":null}', now(), now(), now() - interval '1 minute', now() + interval '1 day', now(), 1, now() + interval '1 day', now() + interval '1 day')`,
    [id, organizationId, userId],
  );
  return id;
}

async function openSupport(organizationId: string, staff: string, parent: string) {
  const supportAccessGrantId = await grant(organizationId);
  const own = { organizationId, userId: staff, sessionId: `support-${parent}`, chainId: `support-${parent}` };
  stack.authModule.chains.add({ ...own, supportAccessGrantId, sessionStartedAt: new Date().toISOString() });
  const start = started({
    ...own,
    supportAccessGrantId,
    parentSession: { organizationId: 'vendor', sessionId: parent },
  });
  return { own, start, results: await report(stack, [start]) };
}
const isDead = (organizationId: string, chainId: string) =>
  eventually(
    () => Promise.resolve(stack.authModule.chains.isAlive(organizationId, chainId)),
    (alive) => !alive,
  );

it.each([
  { by: 'itself', path: 'sessions/home-1/terminate', staff: 'staff-1', home: 'home-1' },
  { by: 'all of the staff member’s', path: 'users/staff-2/sessions/terminate', staff: 'staff-2', home: 'home-2' },
  { by: 'everybody’s', path: 'sessions/terminate', staff: 'staff-3', home: 'home-3' },
])(
  'a support session ends in the customer’s organization when its parent ends in the vendor’s, by $by',
  async ({ path, staff, home }) => {
    const customer = `customer-${home}`;
    await signIn(stack, { organizationId: 'vendor', userId: staff, sessionId: home, chainIds: [home] });
    const { own, results } = await openSupport(customer, staff, home);
    expect(results).toMatchObject([{ outcome: 'accepted' }]);
    expect(await listSessions(stack, customer, staff)).toMatchObject([{ id: own.sessionId, status: 'active' }]);
    await terminate(stack, 'vendor', path);
    expect(await listSessions(stack, customer, staff)).toEqual([]);
    await isDead(customer, own.chainId);
    expect(stack.authModule.chains.isSessionEnded(customer, own.sessionId)).toBe(true);
    expect((await auditOf(stack, customer)).filter(({ action }) => action === 'termination.requested')).toMatchObject([
      { actor: { kind: 'system' }, subject: { kind: 'session', id: own.sessionId } },
    ]);
  },
);

const check = async (organizationId: string, userId: string, sessionId: string, role = 'global_admin') => {
  const { body } = await call<{ decision: string }>(stack, 'POST', '/v1/support-access/check', {
    token: await tokens(stack.issuer).machine('support-access:check'),
    body: { organizationId, userId, role, sessionId },
  });
  return body.decision;
};

// whatever the vendor does to a staff member, the Auth Module ends their own sessions, all of them, and tells of each
it.each(['loses the role', 'is blocked', 'signs out everywhere', 'is deleted'])(
  'a support session is over for its customer, for gateways and for its refresh token when its staff member %s',
  async (what) => {
    const staff = `staff ${what}`;
    const customer = `customer of ${staff}`;
    const homes = ['home', 'phone'].map((device) => ({
      organizationId: 'vendor',
      userId: staff,
      sessionId: `${device} of ${staff}`,
    }));
    await signIn(stack, ...homes);
    const { own } = await openSupport(customer, staff, homes[0]?.sessionId ?? '');
    expect(await check(customer, staff, own.sessionId)).toBe('allow');
    // a token that is read without the role is refused before anything is told
    expect(await check(customer, staff, own.sessionId, 'member')).toBe('deny');

    await report(
      stack,
      homes.map((home) => event('session.ended', home)),
    );
    expect(await check(customer, staff, own.sessionId)).toBe('deny');
    expect(await listSessions(stack, customer, staff)).toEqual([]);
    expect(await listSessions(stack, customer, staff, 'ended')).toMatchObject([{ id: own.sessionId, status: 'ended' }]);
    await isDead(customer, own.chainId);
  },
);

it('a support session whose parent nobody has told of ends with the fence of its staff member', async () => {
  const { own, results } = await openSupport('customer-5', 'staff-5', 'home-untold');
  expect(results).toMatchObject([{ outcome: 'accepted' }]);
  await terminate(stack, 'vendor', 'users/staff-5/sessions/terminate');
  expect(await listSessions(stack, 'customer-5', 'staff-5')).toEqual([]);
  await isDead('customer-5', own.chainId);
});

it('a support session of a parent that is kept lives on, and another staff member’s is untouched', async () => {
  await signIn(stack, { organizationId: 'vendor', userId: 'staff-6', sessionId: 'home-6' });
  const { own } = await openSupport('customer-6', 'staff-6', 'home-6');
  const other = await openSupport('customer-7', 'staff-7', 'home-7');
  const { body } = await terminate(stack, 'vendor', 'users/staff-6/sessions/terminate', {
    body: { exceptSessionIds: ['home-6'] },
    prefer: 'wait=20',
  });
  expect(body.status).toBe('completed');
  expect(stack.authModule.chains.isAlive('customer-6', own.chainId)).toBe(true);
  expect(stack.authModule.chains.isAlive('customer-7', other.own.chainId)).toBe(true);
  expect(await listSessions(stack, 'customer-6', 'staff-6')).toHaveLength(1);
});

it('a support start under an ended parent, an unknown grant, another’s grant or another organization’s is rejected and swept', async () => {
  await signIn(stack, { organizationId: 'vendor', userId: 'staff-8', sessionId: 'home-8' });
  await terminate(stack, 'vendor', 'sessions/home-8/terminate', { prefer: 'wait=20' });
  const under = await openSupport('customer-8', 'staff-8', 'home-8');
  expect(under.results).toMatchObject([{ outcome: 'rejected', reason: 'session-ended' }]);
  await isDead('customer-8', under.own.chainId);

  const foreign = await grant('customer-elsewhere');
  const named = await grant('customer-9', 'somebody-else');
  for (const supportAccessGrantId of [randomUUID(), foreign, named]) {
    const own = {
      organizationId: 'customer-9',
      userId: 'staff-9',
      sessionId: `s-${supportAccessGrantId}`,
      chainId: `c-${supportAccessGrantId}`,
    };
    stack.authModule.chains.add({ ...own, supportAccessGrantId });
    const start = started({
      ...own,
      supportAccessGrantId,
      parentSession: { organizationId: 'vendor', sessionId: 'home-9' },
    });
    expect(await report(stack, [start, start])).toMatchObject([
      { outcome: 'rejected', reason: 'support-access-ended' },
      { outcome: 'rejected', reason: 'support-access-ended' },
    ]);
    await isDead('customer-9', own.chainId);
  }
  const audited = [...(await auditOf(stack, 'customer-8')), ...(await auditOf(stack, 'customer-9'))];
  expect(audited.map(({ action }) => action)).not.toContain('support-access.session-started');
  expect(await listSessions(stack, 'customer-9', 'staff-9')).toEqual([]);
});

it('a support session is in the audit as started also where its grant is told after its first event', async () => {
  const supportAccessGrantId = await grant('told-later');
  const own = { organizationId: 'told-later', userId: 'staff', sessionId: 's1' };
  const parentSession = { organizationId: 'vendor', sessionId: 'home' };
  const results = await report(stack, [
    event('chain.started', { ...own, chainId: 'c1' }),
    started({ ...own, supportAccessGrantId, parentSession }),
    event('session.refreshed', { ...own, supportAccessGrantId }),
  ]);
  expect(results.map(({ outcome }) => outcome)).not.toContain('rejected');
  const begun = (await auditOf(stack, 'told-later')).filter(
    ({ action }) => action === 'support-access.session-started',
  );
  expect(begun).toMatchObject([{ subject: { id: 's1' }, details: { grantId: supportAccessGrantId } }]);
});

it('a sign-out after the end of its grant leaves a support session as it was shown', async () => {
  const id = await grant('outlived');
  const own = { organizationId: 'outlived', userId: 'staff', sessionId: 's1' };
  const parentSession = { organizationId: 'vendor', sessionId: 'home' };
  await report(stack, [started({ ...own, supportAccessGrantId: id, parentSession })]);
  await stack.database.query(`update support_access_grants set expires_at = current_instant() where id = $1`, [id]);
  const shown = async () => (await listSessions(stack, 'outlived', 'staff', 'ended'))[0];
  const before = await shown();
  expect(before?.endReason).toBe('support-access-ended');
  await report(stack, [event('session.ended', own)]);
  expect(await shown()).toMatchObject({ endReason: before?.endReason, endedAt: before?.endedAt });
});

it('a parent session that is somebody else’s is none: what was opened from it is over since it was recorded', async () => {
  const { own, results } = await openSupport('customer-of-stolen', 'staff-stolen', 'stolen');
  // nobody knows the parent yet
  expect(results).toMatchObject([{ outcome: 'accepted' }]);
  await signIn(stack, { organizationId: 'vendor', userId: 'victim', sessionId: 'stolen', chainIds: ['stolen'] });
  expect(await listSessions(stack, 'customer-of-stolen', 'staff-stolen')).toEqual([]);
  const before = await listSessions(stack, 'customer-of-stolen', 'staff-stolen', 'ended');
  expect(before).toMatchObject([{ id: own.sessionId, status: 'ended' }]);
  // and nothing of the owner’s is told by it: not when they were ended, nor does their end wait for it
  const { body } = await terminate(stack, 'vendor', 'sessions/stolen/terminate', { prefer: 'wait=20' });
  expect(body).toMatchObject({ status: 'completed', sessions: { total: 1 } });
  expect(await listSessions(stack, 'customer-of-stolen', 'staff-stolen', 'ended')).toEqual(before);
});

it('a support session whose parent has no row ends with the parent, also where the clock was set back since it was recorded', async () => {
  const { own, results } = await openSupport('customer-of-rowless', 'staff-rowless', 'rowless');
  expect(results).toMatchObject([{ outcome: 'accepted' }]);
  await stack.database.moveClock(-600_000);
  onTestFinished(() => stack.database.moveClock(600_000));
  await terminate(stack, 'vendor', 'users/staff-rowless/sessions/terminate');
  expect(await listSessions(stack, 'customer-of-rowless', 'staff-rowless')).toEqual([]);
  await isDead('customer-of-rowless', own.chainId);
});
