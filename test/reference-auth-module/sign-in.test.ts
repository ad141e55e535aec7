import { createRemoteJWKSet, decodeJwt, jwtVerify } from 'jose';
import { beforeEach, expect, test } from 'vitest';
import { z } from 'zod';
import { refresh, signIn } from '../../reference-auth-module/client.ts';
import { audience, useReferenceAuthModule } from './harness.ts';

const harness = useReferenceAuthModule();
beforeEach(() => harness.service.reset());

const Discovery = z.object({ issuer: z.string(), jwks_uri: z.url() });
const getJson = async (path: string): Promise<unknown> => (await fetch(new URL(path, harness.issuer))).json();
const ada = { user: 'ada', organization: 'acme' };
const signInAs = (who: { user: string; organization: string }, more: object = {}) =>
  signIn({ issuer: harness.issuer, ...who, ...more });

test('an access token says who, where, in which session, and verifies by discovery alone', async () => {
  const { accessToken, idToken } = await signInAs(ada);
  const discovery = Discovery.parse(await getJson('/.well-known/openid-configuration'));
  expect(discovery.issuer).toBe(harness.issuer);
  expect(discovery.jwks_uri).toBe(`${harness.issuer}/jwks`);
  const { payload } = await jwtVerify(accessToken, createRemoteJWKSet(new URL(discovery.jwks_uri)), {
    issuer: discovery.issuer,
    audience,
    typ: 'at+jwt',
    algorithms: ['ES256'],
  });
  expect(payload).toMatchObject({ sub: 'ada', roles: ['org_admin'], org_id: 'acme', scope: 'openid offline_access' });
  const [started] = harness.service.of(payload.sid);
  expect(started).toMatchObject({ type: 'session.started', userId: 'ada', organizationId: 'acme', client: 'web' });
  expect(payload.auth_time).toBe(Math.floor(Date.parse(started!.startedAt) / 1000));
  expect(payload).not.toHaveProperty('support_access_grant_id');
  expect(decodeJwt(idToken).sub).toBe('ada');
});

test('no private key is published', async () => {
  const { keys } = z.object({ keys: z.array(z.looseObject({})) }).parse(await getJson('/jwks'));
  expect(keys).toHaveLength(1);
  expect(keys[0]).not.toHaveProperty('d');
});

test('one user in two organizations has two sessions that share nothing', async () => {
  const [here, there] = [
    await signInAs({ user: 'grace', organization: 'acme' }),
    await signInAs({ user: 'grace', organization: 'globex' }),
  ];
  expect(here.claims).toMatchObject({ sub: 'grace', org_id: 'acme' });
  expect(there.claims).toMatchObject({ sub: 'grace', org_id: 'globex' });
  expect(here.claims.sid).not.toBe(there.claims.sid);
});

test('a second client of one browser is a second chain of the same session; the same client again is the same chain', async () => {
  const web = await signInAs(ada);
  const mobile = await signInAs(ada, { cookies: web.cookies, client: 'mobile', continueSession: true });
  const again = await signInAs(ada, { cookies: web.cookies, continueSession: true });
  expect([mobile.claims.sid, again.claims.sid]).toEqual([web.claims.sid, web.claims.sid]);
  await expect.poll(() => harness.service.of(web.claims.sid).filter((e) => e.type === 'chain.started').length).toBe(2);
});

test('signing in again in the same browser is a new session, and the earlier chain lives', async () => {
  const first = await signInAs(ada);
  const second = await signInAs({ user: 'linus', organization: 'acme' }, { cookies: first.cookies });
  expect(second.claims).toMatchObject({ sub: 'linus' });
  expect(second.claims.sid).not.toBe(first.claims.sid);
  expect((await refresh({ issuer: harness.issuer, refreshToken: first.refreshToken })).status).toBe(200);
});

test('tokens and browsers outlive a restart', async () => {
  const { accessToken, refreshToken, cookies } = await signInAs(ada);
  await harness.restart();
  await jwtVerify(accessToken, createRemoteJWKSet(new URL('/jwks', harness.issuer)));
  expect((await refresh({ issuer: harness.issuer, refreshToken })).status).toBe(200);
  expect((await signInAs(ada, { cookies, continueSession: true })).claims.sub).toBe('ada');
});
