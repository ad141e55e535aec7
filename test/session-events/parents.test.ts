import { randomUUID } from 'node:crypto';
import { expect, it } from 'vitest';
import { call, eventually, tokens } from '../harness/client.ts';
import { event, type EventResult, report, started } from '../harness/events.ts';
import { useStack } from '../harness/stack.ts';
import { listSessions, signIn, terminate, untilCompleted } from '../harness/terminations.ts';

const stack = useStack({ environment: { VENDOR_ORGANIZATIONS: 'vendor, vendor-labs' } });

/** A live grant of the organization, as if its workflow had activated it. */
async function grant(organizationId: string): Promise<string> {
  const id = randomUUID();
  await stack.database.query('insert into organizations (id) values ($1) on conflict do nothing', [organizationId]);
  await stack.database.query(
    `insert into support_access_grants (id, organization_id, created_by, created_at, activate_before, starts_at, expires_at, progress_at, delivered_revision, next_look_at, dispatch_after)
     values ($1, $2, '{"kind":"machine","id":"settings","sessionId":null,"supportAccessGrantId":null}', now(), now(), now() - interval '1 minute', now() + interval '1 day', now(), 1, now() + interval '1 day', now() + interval '1 day')`,
    [id, organizationId],
  );
  return id;
}
const outcomes = (results: EventResult[]) =>
  results.map(({ outcome, reason }) => (reason === undefined ? outcome : `${outcome} ${reason}`));
const isAlive = (organizationId: string, chainId: string) => stack.authModule.chains.isAlive(organizationId, chainId);
const isDead = (organizationId: string, chainId: string) =>
  eventually(
    () => Promise.resolve(isAlive(organizationId, chainId)),
    (alive) => !alive,
  );

it('a machine of one organization names as parent its own sessions and the vendor’s, and no other’s', async () => {
  const supportAccessGrantId = await grant('customer');
  const token = await tokens(stack.issuer).machine('sessions:ingest', 'customer');
  const namedParent = async (organizationId: string) => {
    const start = started({
      organizationId: 'customer',
      userId: 'staff',
      sessionId: randomUUID(),
      supportAccessGrantId,
      parentSession: { organizationId, sessionId: 'home' },
    });
    const answer = await call<{ results: EventResult[] }>(stack, 'POST', '/v1/session-events', {
      token,
      body: { events: [start] },
    });
    return outcomes(answer.body.results)[0];
  };
  expect(await namedParent('victim')).toBe('rejected invalid');
  expect(await namedParent('customer')).toBe('accepted');
  expect(await namedParent('vendor')).toBe('accepted');
  expect(await namedParent('vendor-labs')).toBe('accepted');
});

it('a support start has a parent, and nothing else has', async () => {
  const supportAccessGrantId = await grant('only');
  const own = { organizationId: 'only', userId: 'staff', sessionId: 's1' };
  const parentSession = { organizationId: 'vendor', sessionId: 'home' };
  expect(
    outcomes(
      await report(stack, [
        started({ ...own, supportAccessGrantId }),
        started({ ...own, parentSession }),
        event('session.refreshed', { ...own, supportAccessGrantId, parentSession }),
        event('chain.started', { ...own, chainId: 'c1', parentSession }),
        event('session.ended', { ...own, supportAccessGrantId, parentSession }),
      ]),
    ),
  ).toEqual(Array.from({ length: 5 }, () => 'rejected invalid'));
  expect(await listSessions(stack, 'only', 'staff', 'all')).toEqual([]);
  expect(outcomes(await report(stack, [started({ ...own, supportAccessGrantId, parentSession })]))).toEqual([
    'accepted',
  ]);
});

it('a parent that is known to be somebody else’s is refused, whether by its row or by the same batch', async () => {
  const supportAccessGrantId = await grant('stolen');
  await signIn(stack, { organizationId: 'vendor', userId: 'victim', sessionId: 'stored' });
  const under = (sessionId: string) =>
    started({
      organizationId: 'stolen',
      userId: 'thief',
      sessionId: randomUUID(),
      supportAccessGrantId,
      parentSession: { organizationId: 'vendor', sessionId },
    });
  expect(
    outcomes(
      await report(stack, [
        under('stored'),
        started({ organizationId: 'vendor', userId: 'victim', sessionId: 'told-now' }),
        under('told-now'),
        under('unknown'),
      ]),
    ),
  ).toEqual(['rejected invalid', 'accepted', 'rejected invalid', 'accepted']);
});

/** The same parent id in two organizations, and a child of each. */
async function twins(userId: string) {
  const parents = ['vendor', 'vendor-labs'].map((organizationId) => ({
    organizationId,
    userId,
    sessionId: `home-${userId}`,
  }));
  await signIn(stack, ...parents);
  const customer = `customer-of-${userId}`;
  const supportAccessGrantId = await grant(customer);
  for (const { organizationId, sessionId } of parents) {
    const child = {
      organizationId: customer,
      userId,
      sessionId: `of-${organizationId}`,
      chainId: `of-${organizationId}`,
    };
    stack.authModule.chains.add({ ...child, supportAccessGrantId });
    const parentSession = { organizationId, sessionId };
    const results = await report(stack, [started({ ...child, supportAccessGrantId, parentSession })]);
    expect(outcomes(results)).toEqual(['accepted']);
  }
  return customer;
}

it.each([
  {
    by: 'its sign-out',
    end: (userId: string) =>
      report(stack, [event('session.ended', { organizationId: 'vendor', userId, sessionId: `home-${userId}` })]),
  },
  { by: 'its termination', end: (userId: string) => terminate(stack, 'vendor', `sessions/home-${userId}/terminate`) },
  { by: 'its user’s', end: (userId: string) => terminate(stack, 'vendor', `users/${userId}/sessions/terminate`) },
])(
  'a parent that is ended by $by leaves the child of another organization’s session of the same id',
  async ({ by, end }) => {
    const userId = `twin-${by.replaceAll(/\W/g, '-')}`;
    const customer = await twins(userId);
    await end(userId);
    await isDead(customer, 'of-vendor');
    const [termination] = await stack.database.query<{ id: string }>(
      `select id from terminations where organization_id = $1 and scope_id = 'of-vendor'`,
      [customer],
    );
    await untilCompleted(stack, { organizationId: customer, id: termination?.id ?? '' });
    expect(isAlive(customer, 'of-vendor-labs')).toBe(true);
    expect((await listSessions(stack, customer, userId)).map(({ id }) => id)).toEqual(['of-vendor-labs']);
  },
);

it('a sign-out that was stored, but not followed by the ends of its support sessions, is followed by them when it is repeated', async () => {
  const customer = await twins('cut-off');
  const signOut = event('session.ended', { organizationId: 'vendor', userId: 'cut-off', sessionId: 'home-cut-off' });
  // as a process leaves it that is killed between the two
  await stack.database.query(
    `with seen as (insert into seen_session_events (organization_id, event_id, seen_at) values ('vendor', $1, now()))
     update sessions set ended_at = $2, end_reason = 'signed-out' where organization_id = 'vendor' and id = 'home-cut-off'`,
    [signOut.eventId, signOut.occurredAt],
  );
  expect(outcomes(await report(stack, [signOut]))).toEqual(['duplicate']);
  await isDead(customer, 'of-vendor');
});

// last in its file: its many terminations are left to themselves
it('three thousand support sessions elsewhere do not hold up the incident button of the organization that they name', async () => {
  const supportAccessGrantId = await grant('attacker');
  const own = { organizationId: 'attacked', userId: 'grace', sessionId: 's1' };
  await signIn(stack, { ...own, chainIds: ['own'] });
  for (let n = 0; n < 3; n++) {
    const children = Array.from({ length: 1_000 }, (_, i) =>
      started({
        organizationId: 'attacker',
        userId: `mallory-${i}`,
        sessionId: `${n}-${i}`,
        supportAccessGrantId,
        parentSession: { organizationId: 'attacked', sessionId: `untold-${n}` },
      }),
    );
    expect(new Set(outcomes(await report(stack, children)))).toEqual(new Set(['accepted']));
  }
  const { body } = await terminate(stack, 'attacked', 'sessions/terminate');
  await isDead('attacked', 'own');
  const killed = stack.authModule.calls.find(
    (each) => each.endpoint === 'invalidate' && each.organizationId === 'attacked',
  );
  const counted = () =>
    stack.database.query<{ n: string; first: Date }>(
      `select count(*) as n, min(requested_at) as first from terminations where organization_id = 'attacker'`,
    );
  const [some] = await eventually(counted, ([count]) => Number(count?.n) > 0);
  expect(Number(some?.first)).toBeGreaterThanOrEqual(killed?.at ?? Infinity);
  // and in the end each is ended
  await eventually(counted, ([count]) => Number(count?.n) === 3_000, 60_000);
  expect(body.organizationId).toBe('attacked');
}, 120_000);
