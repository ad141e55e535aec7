import { expect, it } from 'vitest';
import { call, tokens } from '../harness/client.ts';
import { report, started } from '../harness/events.ts';
import { useStack } from '../harness/stack.ts';

const stack = useStack();

it('a terminated session is confirmed dead before anybody is told so', async () => {
  const token = await tokens(stack.issuer).orgAdmin('acme');
  stack.authModule.chains.add({ chainId: 'c1', organizationId: 'acme', sessionId: 's1', userId: 'grace' });
  const results = await report(stack, [
    started({ organizationId: 'acme', userId: 'grace', sessionId: 's1', chainId: 'c1' }),
  ]);
  expect(results, JSON.stringify(results)).toMatchObject([{ outcome: 'accepted' }]);
  expect(results.map((r) => r.outcome)).toEqual(['accepted']);
  const list = await call(stack, 'GET', '/v1/organizations/acme/users/grace/sessions', { token });
  expect(list.body).toMatchObject({
    items: [{ id: 's1', status: 'active', refreshTokenChains: { alive: 1, dead: 0 } }],
    nextCursor: null,
  });
  const t = await call(stack, 'POST', '/v1/organizations/acme/sessions/s1/terminate', {
    token,
    body: {},
    headers: { prefer: 'wait=10' },
  });
  expect(t.status, t.text).toBe(200);
  expect(t.body).toMatchObject({
    status: 'completed',
    sessions: { total: 1, pending: 0 },
    chains: { total: 1, confirmed: 1, alreadyDead: 0, pending: 0 },
  });
  expect(stack.authModule.chains.isAlive('acme', 'c1')).toBe(false);
});
