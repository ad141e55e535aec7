import { expect, it } from 'vitest';
import { eventually } from '../harness/client.ts';
import { useStack } from '../harness/stack.ts';
import { hurry, look, signIn, terminate, untilCompleted } from '../harness/terminations.ts';
import { asksFor } from '../faulty-auth-module.ts';

const stack = useStack();

const people = (organizationId: string, count: number) =>
  Array.from({ length: count }, (_, n) => ({
    organizationId,
    userId: `user-${n % 50}`,
    sessionId: `s${n}`,
    chainIds: [`c${n}`],
  }));

it('one chain that fails among 600 holds up none of the others, stays pending, and is retried until it dies', async () => {
  await signIn(stack, ...people('poisoned', 600));
  const mend = stack.authModule.inject({ kind: 'poison', ids: ['c137'] }, { endpoint: 'invalidate' });
  const { body } = await terminate(stack, 'poisoned', 'sessions/terminate', { prefer: 'wait=5' });
  const stuck = await eventually(
    () => look(stack, 'poisoned', body.id),
    ({ chains, sessions }) => chains.confirmed === 599 && sessions.pending === 0,
  );
  expect(stuck).toMatchObject({
    status: 'running',
    lastErrorClass: 'rejected',
    chains: { total: 600, confirmed: 599, alreadyDead: 0, pending: 1 },
    sessions: { total: 600, pending: 0 },
  });
  expect(stack.authModule.chains.alive('poisoned').map(({ chainId }) => chainId)).toEqual(['c137']);
  mend();
  await hurry(stack, body.id);
  expect(await untilCompleted(stack, body)).toMatchObject({ chains: { total: 600, confirmed: 600, pending: 0 } });
});

it.each([
  { name: 'chain', id: 'c137', status: 500, errorClass: 'server-error' },
  { name: 'chain', id: 'c499', status: 400, errorClass: 'rejected' },
  { name: 'sign-in', id: 's599', status: 500, errorClass: 'server-error' },
])(
  'where one $name makes its whole page answer $status, all others are confirmed nevertheless',
  async ({ id, status, errorClass }) => {
    const organizationId = `page-${id}-${status}`;
    await signIn(stack, ...people(organizationId, 600));
    const mend = stack.authModule.inject({ kind: 'status', status }, { endpoint: 'invalidate', when: asksFor(id) });
    const { body } = await terminate(stack, organizationId, 'sessions/terminate');
    const isChain = id.startsWith('c');
    const stuck = await eventually(
      () => look(stack, organizationId, body.id),
      ({ chains, sessions }) => chains.total === 600 && chains.pending + sessions.pending === 1,
      30_000,
    );
    expect(stuck).toMatchObject({
      status: 'running',
      lastErrorClass: errorClass,
      chains: { pending: isChain ? 1 : 0 },
      sessions: { total: 600, pending: isChain ? 0 : 1 },
    });
    mend();
    await hurry(stack, body.id);
    await untilCompleted(stack, body);
    expect(stack.authModule.chains.alive(organizationId)).toEqual([]);
  },
);

it('twenty chains that make their pages fail are told apart from an Auth Module that is down', async () => {
  await signIn(stack, ...people('many', 600));
  const bad = new Set(Array.from({ length: 20 }, (_, n) => `c${n * 29}`));
  const mend = stack.authModule.inject(
    { kind: 'status', status: 500 },
    { endpoint: 'invalidate', when: ({ body }) => 'chainIds' in body && body.chainIds.some((id) => bad.has(id)) },
  );
  const { body } = await terminate(stack, 'many', 'sessions/terminate');
  await eventually(
    () => look(stack, 'many', body.id),
    ({ chains, sessions }) => chains.confirmed === 580 && sessions.pending === 0,
    40_000,
  );
  expect(new Set(stack.authModule.chains.alive('many').map(({ chainId }) => chainId))).toEqual(bad);
  mend();
  await hurry(stack, body.id);
  await untilCompleted(stack, body);
});
