import { expect, it } from 'vitest';
import { eventually, tokens } from '../harness/client.ts';
import { useStack } from '../harness/stack.ts';
import { auditOf, look, signIn, terminate, untilCompleted, untilVerified } from '../harness/terminations.ts';

const stack = useStack({ environment: { VERIFY_AFTER_SECONDS: '1', ACCESS_TOKEN_TTL_SECONDS: '2' } });

const actionsOf = async (organizationId: string) => (await auditOf(stack, organizationId)).map(({ action }) => action);

it('a termination is verified once the Auth Module was asked again after the last access token has died', async () => {
  await signIn(stack, { organizationId: 'quiet', userId: 'grace', sessionId: 's1', chainIds: ['c1'] });
  const { body } = await terminate(stack, 'quiet', 'sessions/s1/terminate', { prefer: 'wait=10' });
  expect(body).toMatchObject({ status: 'completed', verifiedAt: null });
  const verified = await untilVerified(stack, body);
  const secondsAfter = (Date.parse(verified.verifiedAt ?? '') - Date.parse(verified.completedAt ?? '')) / 1_000;
  expect(secondsAfter).toBeGreaterThanOrEqual(2);
  expect(
    stack.authModule.calls.filter((call) => call.organizationId === 'quiet' && call.endpoint === 'search'),
  ).toHaveLength(3);
  expect(await actionsOf('quiet')).toEqual(['termination.requested', 'termination.completed']);
});

const resurfacing = [
  {
    name: 'a chain that was confirmed dead and lives again',
    revive: (org: string) => stack.authModule.chains.resurrect(org, 'c1'),
  },
  {
    name: 'a new chain in the ended session',
    revive: (organizationId: string) => {
      stack.authModule.chains.clear();
      stack.authModule.chains.add({ organizationId, userId: 'grace', sessionId: 's1', chainId: 'c2' });
    },
  },
  {
    name: 'a chain in a session from before that nobody ever told of',
    revive: (organizationId: string) =>
      stack.authModule.chains.add({ organizationId, userId: 'grace', sessionId: 'untold', chainId: 'c3' }),
  },
];
it.each(resurfacing)(
  'after completion, $name is found, killed, counted and audited; meanwhile nothing says completed',
  async ({ name, revive }) => {
    const organizationId = `resurfaced-${name.replaceAll(/[^a-z]/g, '-')}`;
    await signIn(stack, { organizationId, userId: 'grace', sessionId: 's1', chainIds: ['c1'] });
    const { body } = await terminate(stack, organizationId, 'users/grace/sessions/terminate', { prefer: 'wait=10' });
    expect(body.status).toBe('completed');
    // it cannot be killed for now, so that what is shown meanwhile can be seen
    const mend = stack.authModule.inject(
      { kind: 'status', status: 500 },
      { endpoint: 'invalidate', when: (call) => call.organizationId === organizationId },
    );
    revive(organizationId);
    const again = await eventually(
      () => look(stack, organizationId, body.id),
      ({ status }) => status === 'running',
    );
    expect(again).toMatchObject({ completedAt: null, verifiedAt: null, accessEndsBy: null, chains: { pending: 1 } });
    mend();
    const completed = await untilCompleted(stack, body);
    expect(Date.parse(completed.completedAt ?? '')).toBeGreaterThan(Date.parse(body.completedAt ?? ''));
    expect(stack.authModule.chains.alive(organizationId)).toEqual([]);
    await untilVerified(stack, body);
    expect(await actionsOf(organizationId)).toEqual([
      'termination.requested',
      'termination.completed',
      'termination.chain-resurfaced',
      'termination.completed',
    ]);
  },
);

it('a chain of an earlier termination that a later one finds alive sets the earlier one running again', async () => {
  const organizationId = 'earlier';
  await signIn(stack, { organizationId, userId: 'grace', sessionId: 's1', chainIds: ['c1'] });
  const first = await terminate(stack, organizationId, 'sessions/s1/terminate', { prefer: 'wait=10' });
  await untilVerified(stack, first.body);
  stack.authModule.chains.resurrect(organizationId, 'c1');
  const second = await terminate(stack, organizationId, 'users/grace/sessions/terminate', { prefer: 'wait=10' });
  expect(second.body.id).not.toBe(first.body.id);
  const again = await untilVerified(stack, first.body);
  expect(Date.parse(again.verifiedAt ?? '')).toBeGreaterThan(Date.parse(second.body.requestedAt));
  expect(stack.authModule.chains.alive(organizationId)).toEqual([]);
  expect((await actionsOf(organizationId)).filter((action) => action === 'termination.chain-resurfaced')).toHaveLength(
    1,
  );
});

it('a chain that one termination saw alive while another had it killed has not come back', async () => {
  const organizationId = 'crossing';
  await signIn(stack, { organizationId, userId: 'grace', sessionId: 's1', chainIds: ['c1'] });
  const [kill, seen] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const isOurs = (call: { organizationId: string }) => call.organizationId === organizationId;
  stack.authModule.inject({ kind: 'held', until: kill.promise }, { endpoint: 'invalidate', times: 1, when: isOurs });
  const first = await terminate(stack, organizationId, 'sessions/s1/terminate', { prefer: 'respond-async' });
  const calls = (endpoint: string) => () =>
    Promise.resolve(stack.authModule.calls.filter((call) => isOurs(call) && call.endpoint === endpoint));
  await eventually(calls('invalidate'), ({ length }) => length === 1);
  stack.authModule.inject({ kind: 'late-answer', until: seen.promise }, { endpoint: 'search', times: 1, when: isOurs });
  const second = await terminate(stack, organizationId, 'users/grace/sessions/terminate', { prefer: 'respond-async' });
  await eventually(calls('search'), ({ length }) => length === 1);
  kill.resolve();
  const { completedAt } = await untilCompleted(stack, first.body);
  seen.resolve();
  await untilCompleted(stack, second.body);
  expect(await look(stack, organizationId, first.body.id)).toMatchObject({ status: 'completed', completedAt });
  expect(await actionsOf(organizationId)).not.toContain('termination.chain-resurfaced');
});

it('while the Auth Module does not answer the verification, nothing is called verified', async () => {
  await signIn(stack, { organizationId: 'mute', userId: 'grace', sessionId: 's1', chainIds: ['c1'] });
  const { body } = await terminate(stack, 'mute', 'sessions/s1/terminate', { prefer: 'wait=10' });
  const mend = stack.authModule.inject(
    { kind: 'status', status: 500 },
    { when: (call) => call.organizationId === 'mute' },
  );
  await eventually(
    () => look(stack, 'mute', body.id),
    ({ lastErrorClass }) => lastErrorClass === 'server-error',
  );
  expect(await look(stack, 'mute', body.id)).toMatchObject({ status: 'completed', verifiedAt: null });
  mend();
  await untilVerified(stack, body);
});

it('the stream of a termination tells each change and ends once it is verified', async () => {
  await signIn(stack, { organizationId: 'watched', userId: 'grace', sessionId: 's1', chainIds: ['c1'] });
  const { body } = await terminate(stack, 'watched', 'sessions/s1/terminate');
  const stream = await fetch(`${stack.url}/v1/organizations/watched/terminations/${body.id}/events`, {
    headers: { authorization: `Bearer ${await tokens(stack.issuer).orgAdmin('watched')}` },
  });
  expect(stream.headers.get('content-type')).toContain('text/event-stream');
  const text = await stream.text();
  const states = [...text.matchAll(/^event: termination\nid: .+\ndata: (.+)$/gm)].map(
    ([, data]) => JSON.parse(data ?? '') as { status: string; verifiedAt: string | null },
  );
  expect(states.filter(({ verifiedAt }) => verifiedAt !== null)).toHaveLength(1);
  expect(states.at(-1)?.verifiedAt).not.toBeNull();
  expect(states.some(({ status, verifiedAt }) => status === 'completed' && verifiedAt === null)).toBe(true);
});
