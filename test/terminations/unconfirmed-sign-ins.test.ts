import { expect, it } from 'vitest';
import { eventually } from '../harness/client.ts';
import { useStack } from '../harness/stack.ts';
import { hurry, look, signIn, terminate, untilCompleted } from '../harness/terminations.ts';

const stack = useStack();
const eve = (organizationId: string) => ({ organizationId, userId: 'eve' });
const failing = (organizationId: string, id: string) =>
  eventually(
    () => look(stack, organizationId, id),
    ({ lastErrorClass, sessions }) => lastErrorClass !== null && sessions.pending === 1,
  );

it('after an outage, end-all is completed only once the sign-in that an earlier termination could not end is ended', async () => {
  const own = eve('outage');
  await signIn(stack, { ...own, sessionId: 's1' }, { ...own, sessionId: 's2', chainIds: ['o2'] });
  const mend = stack.authModule.inject(
    { kind: 'status', status: 503, retryAfter: '60' },
    { when: (call) => call.organizationId === 'outage' },
  );
  const one = await terminate(stack, 'outage', 'sessions/s1/terminate');
  await failing('outage', one.body.id);
  mend();
  const all = await terminate(stack, 'outage', 'users/eve/sessions/terminate', { prefer: 'wait=10' });
  expect(all.body.status).toBe('completed');
  // a remembered browser mints nothing in it
  expect(stack.authModule.chains.add({ ...own, sessionId: 's1', chainId: 'minted' })).toBe(false);
  // and the earlier one's books say so: it was counted there
  expect((await look(stack, 'outage', one.body.id)).sessions).toEqual({ total: 1, pending: 0 });
});

it.each([
  ['a user', 'users/eve/sessions/terminate'],
  ['an organization', 'sessions/terminate'],
])(
  'while one sign-in of %s stays unconfirmed, whoever has it, nothing that covers it is completed',
  async (_, path) => {
    const organizationId = `poison-${path.length}`;
    const own = eve(organizationId);
    await signIn(stack, { ...own, sessionId: 's1', chainIds: ['c1'] }, { ...own, sessionId: 's2', chainIds: ['c2'] });
    const mend = stack.authModule.inject(
      { kind: 'poison', ids: ['s1'] },
      { endpoint: 'invalidate', when: (call) => call.organizationId === organizationId },
    );
    const one = await terminate(stack, organizationId, 'sessions/s1/terminate');
    await failing(organizationId, one.body.id);
    const all = await terminate(stack, organizationId, path);
    const waiting = await eventually(
      () => look(stack, organizationId, all.body.id),
      ({ lastErrorClass, chains }) => lastErrorClass !== null && chains.confirmed === 1,
    );
    expect(waiting).toMatchObject({ status: 'running', sessions: { pending: 0 }, chains: { pending: 0 } });
    mend();
    await hurry(stack, all.body.id);
    await untilCompleted(stack, all.body);
    expect(stack.authModule.chains.isSessionEnded(organizationId, 's1')).toBe(true);
  },
);
