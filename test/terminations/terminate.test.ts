import { expect, it } from 'vitest';
import { call, tokens } from '../harness/client.ts';
import { report, started } from '../harness/events.ts';
import { useStack } from '../harness/stack.ts';
import { terminate } from '../harness/terminations.ts';

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
  const { status, body, text } = await terminate(stack, 'acme', 'sessions/s1/terminate', { token, prefer: 'wait=10' });
  expect([200, 202], text).toContain(status);
  expect(body).toMatchObject({
    status: 'completed',
    sessions: { total: 1, pending: 0 },
    chains: { total: 1, confirmed: 1, alreadyDead: 0, pending: 0 },
  });
  expect(stack.authModule.chains.isAlive('acme', 'c1')).toBe(false);
});
