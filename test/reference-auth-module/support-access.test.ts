import { decodeJwt } from 'jose';
import { beforeEach, describe, expect, test } from 'vitest';
import { refresh, signIn } from '../../reference-auth-module/client.ts';
import { endpointsOf } from './endpoints.ts';
import { useReferenceAuthModule } from './harness.ts';

const harness = useReferenceAuthModule();
beforeEach(() => harness.service.reset());

const { search, personToken } = endpointsOf(harness);
const issuer = () => harness.issuer;
const sam = () => ({ issuer: issuer(), user: 'sam', organization: 'vendor' });
const allow = (minutes = 30, grantId = 'grant-1') => {
  const notAfter = new Date(Date.now() + minutes * 60_000).toISOString();
  harness.service.check = () => ({ decision: 'allow', reason: 'granted', grantId, notAfter });
  return notAfter;
};

describe('what works', () => {
  test('a Global Admin signs in under a grant: own session first, tagged, and no longer than the grant', async () => {
    const notAfter = allow();
    const { claims, refreshToken } = await signIn({ ...sam(), supportOrganization: 'acme' });
    expect(claims).toMatchObject({
      sub: 'sam',
      org_id: 'acme',
      roles: ['global_admin'],
      support_access_grant_id: 'grant-1',
    });
    const [own, support] = harness.service.events.filter((event) => event.type === 'session.started');
    expect(own).toMatchObject({ organizationId: 'vendor', userId: 'sam' });
    expect(own).not.toHaveProperty('supportAccessGrantId');
    expect(support).toMatchObject({
      sessionId: claims.sid,
      organizationId: 'acme',
      supportAccessGrantId: 'grant-1',
      expiresAt: notAfter,
      parentSession: { organizationId: 'vendor', sessionId: own!.sessionId },
    });
    expect(harness.service.checks).toEqual([
      {
        body: { organizationId: 'acme', userId: 'sam', role: 'global_admin' },
        caller: expect.objectContaining({ scope: 'support-access:check' }),
      },
    ]);
    expect((await refresh({ issuer: issuer(), refreshToken })).status).toBe(200);
    const found = await search({
      organizationId: 'acme',
      supportAccessGrantId: 'grant-1',
    });
    expect(found.chains).toMatchObject([{ sessionId: claims.sid, supportAccessGrantId: 'grant-1' }]);
  });

  test('the own session of the browser is the parent, also of a second support session: they never nest', async () => {
    const own = await signIn(sam());
    allow(30, 'grant-a');
    const first = await signIn({ ...sam(), supportOrganization: 'acme', cookies: own.cookies });
    allow(30, 'grant-g');
    const second = await signIn({ ...sam(), supportOrganization: 'globex', cookies: own.cookies });
    for (const { claims } of [first, second]) {
      expect(harness.service.of(claims.sid)[0]?.parentSession).toEqual({
        organizationId: 'vendor',
        sessionId: own.claims.sid,
      });
    }
  });

  test('neither token nor chain outlives the grant', async () => {
    allow(1 / 30); // two seconds
    const { claims, refreshToken } = await signIn({ ...sam(), supportOrganization: 'acme' });
    expect(claims.exp! * 1000).toBeLessThanOrEqual(Date.now() + 2000);
    // time is moved, not slept: the grant's end comes
    await harness.sql(`update auth_sessions set expires_at = now() where session_id = $1`, [claims.sid]);
    expect((await refresh({ issuer: issuer(), refreshToken })).body.error).toBe('invalid_grant');
    const lives = await harness.sql<{ ms: number }>(
      `select extract(epoch from max(t.expires_at) - min(s.started_at)) * 1000 as ms from auth_tokens t join auth_chains c using (chain_id)
       join auth_sessions s using (session_id) where s.session_id = $1`,
      [claims.sid],
    );
    expect(Number(lives[0]?.ms)).toBeLessThanOrEqual(2000);
  });
});

const refused = (options: object) =>
  signIn({ ...sam(), supportOrganization: 'acme', ...options }).then(
    () => 'signed in',
    (e) => e.error,
  );
const openSessions = () => harness.sql('select session_id from auth_sessions where ended_at is null');

describe('refusals', () => {
  test.for([
    ['deny', { decision: 'deny', reason: 'no-grant', grantId: null, notAfter: null }],
    [
      'allow without a grant',
      { decision: 'allow', reason: 'granted', grantId: null, notAfter: '2099-01-01T00:00:00.000Z' },
    ],
    ['allow without an end', { decision: 'allow', reason: 'granted', grantId: 'g', notAfter: null }],
  ] as const)('%s is no', async ([, check]) => {
    const before = await openSessions();
    harness.service.check = () => check;
    expect(await refused({})).toBe('access_denied');
    expect(await openSessions()).toEqual(before);
  });

  test('no answer to the check is no, for now', async () => {
    harness.service.check = () => ({ decision: 'perhaps', reason: '', grantId: null, notAfter: null });
    expect(await refused({})).toBe('temporarily_unavailable');
  });

  test('a grant that ends between check and start: the start is rejected, the sign-in refused', async () => {
    allow();
    harness.service.answer = (event) =>
      event.supportAccessGrantId ? { outcome: 'rejected', reason: 'support-access-ended' } : { outcome: 'accepted' };
    expect(await refused({})).toBe('access_denied');
  });

  test('who is no Global Admin is not even asked about', async () => {
    allow();
    expect(await refused({ user: 'ada', organization: 'acme', supportOrganization: 'globex' })).toBe('access_denied');
    expect(harness.service.checks).toEqual([]);
  });
});

test('the demo endpoint opens a support session from a given own session, and says which', async () => {
  allow();
  const tess = { sub: 'tess', org_id: 'vendor' };
  const own = await personToken(tess);
  const support = { ...tess, support_access_organization: 'globex' };
  const token = await personToken({ ...support, parent_session_id: own.session_id });
  expect(token.parent_session_id).toBe(own.session_id);
  expect(decodeJwt(token.access_token)).toMatchObject({
    sub: 'tess',
    org_id: 'globex',
    sid: token.session_id,
    support_access_grant_id: 'grant-1',
  });
  harness.service.reset();
  expect(await harness.post('/demo/tokens', support)).toMatchObject({ status: 403, body: { error: 'access_denied' } });
});
