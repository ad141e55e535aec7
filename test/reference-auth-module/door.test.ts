import { expect, test } from 'vitest';
import { useReferenceAuthModule } from './harness.ts';

const harness = useReferenceAuthModule();
const paths = [
  '/refresh-chains/search',
  '/refresh-chains/invalidate',
  '/demo/tokens',
  '/demo/sign-ins',
  '/demo/sign-outs',
];

test.for(paths)('%s without the right bearer is 401, before the body is looked at', async (path) => {
  expect((await harness.post(path, '{', 'wrong')).status).toBe(401);
  expect((await fetch(new URL(path, harness.issuer), { method: 'POST' })).status).toBe(401);
});

test.for([
  ['/refresh-chains/search', {}],
  ['/refresh-chains/search', '{'],
  ['/refresh-chains/search', { organizationId: 'a', sessionIds: [] }],
  ['/refresh-chains/search', { organizationId: 'a', cursor: 'forged' }],
  ['/refresh-chains/search', { organizationId: 'a', sessionStartedAtOrBefore: 'yesterday' }],
  ['/refresh-chains/search', { organizationId: 'a', unknown: 1 }],
  ['/refresh-chains/invalidate', { organizationId: 'a', terminationId: 't', sessionIds: [] }],
  [
    '/refresh-chains/invalidate',
    { organizationId: 'a', terminationId: 't', sessionIds: [], chainIds: Array(501).fill('x') },
  ],
  ['/refresh-chains/invalidate', { organizationId: 'a', terminationId: 't', sessionIds: [''], chainIds: [] }],
] as const)('%s refuses %j with 400', async ([path, body]) => {
  expect((await harness.post(path, body)).status).toBe(400);
});
