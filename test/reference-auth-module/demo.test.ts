import { createRemoteJWKSet, decodeJwt, jwtVerify } from 'jose';
import { beforeEach, expect, test } from 'vitest';
import { refresh } from '../../reference-auth-module/client.ts';
import { endpointsOf } from './endpoints.ts';
import { audience, useReferenceAuthModule } from './harness.ts';

const harness = useReferenceAuthModule();
beforeEach(() => harness.service.reset());
const { personToken, machineToken, signIns } = endpointsOf(harness);
const issuer = () => harness.issuer;

test('a token for a person is a real sign-in, told of before the answer', async () => {
  const body = await personToken({ sub: 'ada', org_id: 'acme', ttlSeconds: 12 * 3600 });
  const { payload } = await jwtVerify(body.access_token, createRemoteJWKSet(new URL('/jwks', issuer())), {
    issuer: issuer(),
    audience,
    typ: 'at+jwt',
  });
  expect(payload).toMatchObject({ sub: 'ada', roles: ['org_admin'], org_id: 'acme', sid: body.session_id });
  expect(payload.exp! - payload.iat!).toBe(12 * 3600);
  expect(harness.service.of(body.session_id)).toMatchObject([
    { type: 'session.started' },
    { type: 'chain.started', chainId: body.chain_id },
  ]);
  expect((await refresh({ issuer: issuer(), refreshToken: body.refresh_token ?? '' })).status).toBe(200);
});

test('roles, also of somebody unknown to the directory, are those asked for', async () => {
  const body = await personToken({
    sub: 'nobody',
    org_id: 'anywhere',
    roles: ['org_admin'],
    scope: 'openid',
  });
  expect(decodeJwt(body.access_token)).toMatchObject({ roles: ['org_admin'], scope: 'openid' });
  expect(body).not.toHaveProperty('refresh_token');
});

test('a machine token has a scope, and neither session nor roles', async () => {
  const body = await machineToken({
    scope: 'support-access:manage',
    org_id: 'acme',
  });
  const claims = decodeJwt(body.access_token);
  expect(claims).toMatchObject({ scope: 'support-access:manage', org_id: 'acme' });
  expect(claims).not.toHaveProperty('sid');
  expect(claims).not.toHaveProperty('roles');
  expect(harness.service.events.filter((event) => event.type === 'session.started')).toEqual([]);
});

test('a refused sign-in is 403, an unanswered one 503', async () => {
  harness.service.answer = () => ({ outcome: 'rejected', reason: 'fenced' });
  expect((await harness.post('/demo/tokens', { sub: 'ada', org_id: 'acme' })).status).toBe(403);
  expect((await harness.post('/demo/sign-ins', { organizationId: 'acme', userId: 'ada', count: 3 })).status).toBe(403);
  harness.service.down = true;
  expect((await harness.post('/demo/tokens', { sub: 'ada', org_id: 'acme' })).status).toBe(503);
});

test.for([
  { sub: 'ada' },
  { sub: 'ada', org_id: 'acme', ttlSeconds: 12 * 3600 + 1 },
  { machine: true },
  { sub: 'ada', org_id: 'acme', unknown: 1 },
])('%j is 400', async (body) => {
  expect((await harness.post('/demo/tokens', body)).status).toBe(400);
});

test('of a batch of sign-ins the rejected ones are left out', async () => {
  let n = 0;
  harness.service.answer = (event) =>
    event.type === 'session.started' && (n += 1) % 2
      ? { outcome: 'rejected', reason: 'fenced' }
      : { outcome: 'accepted' };
  const body = await signIns({
    organizationId: 'acme',
    userId: 'ada',
    count: 10,
    clients: ['web', 'mobile'],
  });
  expect(body).toHaveLength(10);
  expect(new Set(body.map((s) => s.sessionId)).size).toBe(5);
});

test('1,000 sign-ins with real refresh tokens come at 300 a second or more, and are told of', async ({ annotate }) => {
  const begun = performance.now();
  const body = await signIns({ organizationId: 'acme', userId: 'ada', count: 1000 });
  const rate = Math.round(1000 / ((performance.now() - begun) / 1000));
  expect(harness.service.events.filter((event) => event.type === 'session.started')).toHaveLength(1000);
  expect(harness.service.events.filter((event) => event.type === 'chain.started')).toHaveLength(1000);
  expect(harness.service.batches.every((batch) => batch.size <= 1000)).toBe(true);
  const again = await Promise.all(
    body.slice(0, 50).map((s) => refresh({ issuer: issuer(), client: s.clientId, refreshToken: s.refreshToken })),
  );
  expect(again.every((answer) => answer.status === 200)).toBe(true);
  await annotate(`${rate} sign-ins a second`);
  expect(rate).toBeGreaterThan(300);
});

test('one sign-in each of many users', async () => {
  const userIds = Array.from({ length: 100 }, (_, i) => `u${i}`);
  const body = await signIns({ organizationId: 'big', userIds });
  expect(new Set(body.map((s) => harness.service.of(s.sessionId)[0]?.userId)).size).toBe(100);
});
