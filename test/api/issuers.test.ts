import { randomUUID } from 'node:crypto';
import type { JWTPayload } from 'jose';
import { describe, expect, it } from 'vitest';
import { call, tokens } from '../harness/client.ts';
import { event, report, started } from '../harness/events.ts';
import type { Issuer } from '../harness/issuer.ts';
import { plantGrant } from './planted-organization.ts';
import { admin, admission as admissionOf, customerOrganization as mine, useIssuers } from './use-issuers.ts';

const issuers = useIssuers();
const { stack } = issuers;
const admission = (organizationId: string, token: string) => admissionOf(stack, organizationId, token);

describe('a token is judged by the entry of its own issuer alone', () => {
  it('each issuer’s administrators are admitted, with and without an organization in the entry', async () => {
    for (const issuer of [stack.issuer, issuers.other])
      expect(await admission('acme', await issuer.token(admin('acme')))).toBe('admitted');
    for (const org_id of [mine, undefined])
      expect(await admission(mine, await issuers.customer.token({ ...admin(mine), org_id }))).toBe('admitted');
  });

  it('keys of another entry never count, though they have the same id', async () => {
    const all = [stack.issuer, issuers.other, issuers.customer, issuers.vendor];
    for (const signer of all)
      for (const named of all.filter((issuer) => issuer !== signer)) {
        const forged = await signer.token({ ...admin('acme'), iss: named.issuer, aud: named.audience });
        expect(await admission('acme', forged)).toBe('401 unauthenticated');
      }
  });

  it('the audience of another entry never counts', async () => {
    expect(await admission('acme', await issuers.other.token({ ...admin('acme'), aud: 'elsewhere' }))).toBe('admitted');
    for (const aud of [stack.issuer.audience, ['a', 'b']])
      expect(await admission('acme', await issuers.other.token({ ...admin('acme'), aud }))).toBe('401 unauthenticated');
  });

  it('an issuer that nobody trusts, or that is only nearly one that somebody does, is refused', async () => {
    for (const iss of ['https://nobody.example', `${stack.issuer.issuer}/`, '', undefined])
      expect(await admission('acme', await stack.issuer.token({ ...admin('acme'), iss }))).toBe('401 unauthenticated');
  });
});

describe('a customer who runs their own issuer', () => {
  it('never speaks for another organization, whatever the tokens say', async () => {
    const victim = randomUUID();
    const token = await issuers.customer.token(admin(victim));
    expect(await admission(victim, token)).toBe('401 unauthenticated');
    expect(await admission(mine, token)).toBe('401 unauthenticated');
    const { org_id: _, ...silent } = admin(victim);
    expect(await admission(victim, await issuers.customer.token(silent))).toBe('403 organization-forbidden');
  });

  it('never makes a Global Admin: not by role, not by the claim of a grant, not by a session under one', async () => {
    const victim = randomUUID();
    const grantId = await plantGrant(stack, victim);
    const staff = { sub: 'staff', sid: 'sid-of-staff', roles: ['global_admin'] };
    expect(await admission(victim, await issuers.vendor.token(staff))).toBe('admitted');
    expect(await admission(victim, await issuers.customer.token(staff))).toBe('403 role-required');
    const claiming = await issuers.customer.token({ ...staff, support_access_grant_id: grantId });
    expect(await admission(victim, claiming)).toBe('403 support-access-required');
    await report(stack, [
      started({
        organizationId: victim,
        userId: 'staff',
        sessionId: 'visit',
        supportAccessGrantId: grantId,
        parentSession: { organizationId: 'vendor', sessionId: 'sid-of-staff' },
      }),
    ]);
    const visiting = await issuers.customer.token({ ...staff, sid: 'visit' });
    expect(await admission(victim, visiting)).toBe('403 support-access-required');
  });

  it('has machines of its own organization alone', async () => {
    const ours = await issuers.customer.token({ sub: 'service-account', azp: 'reporter', roles: ['offline'] });
    const events = [mine, 'acme'].map((organizationId) => started({ organizationId, userId: 'u', sessionId: 's' }));
    const answer = await call<{ results: { outcome: string }[] }>(stack, 'POST', '/v1/session-events', {
      token: ours,
      body: { events },
    });
    expect(answer.body.results.map(({ outcome }) => outcome)).toEqual(['accepted', 'rejected']);
  });

  it('cannot lock the vendor’s staff out by reporting the end of a session of the same id', async () => {
    const victim = randomUUID();
    await plantGrant(stack, victim);
    const staff = await issuers.vendor.token({ sub: 'target', sid: 'sid-of-target', roles: ['global_admin'] });
    const machine = await tokens(stack.issuer).machine('sessions:ingest', 'evil');
    const facts = { organizationId: 'evil', userId: 'target', sessionId: 'sid-of-target' };
    const { body } = await call(stack, 'POST', '/v1/session-events', {
      token: machine,
      body: { events: [event('session.ended', facts)] },
    });
    expect(body['results']).toMatchObject([{ outcome: 'accepted' }]);
    expect(await admission(victim, staff)).toBe('admitted');
  });
});

it('a person whose token names no organization, nor its issuer’s entry, is nobody', async () => {
  const token = await stack.issuer.token({ sub: 'target', sid: 'sid-of-target', roles: ['global_admin'] });
  expect(await admission('acme', token)).toBe('401 unauthenticated');
});

it('a token without the claims of a person is no machine for that', async () => {
  const flag = async (claims: JWTPayload) =>
    (await call(stack, 'GET', '/v1/organizations/acme/support-access', { token: await stack.issuer.token(claims) }))
      .status;
  const scope = 'support-access:manage';
  expect(await flag({ sub: 'settings', client_id: 'settings', scope })).toBe(200);
  for (const name of ['azp', 'cid']) expect(await flag({ sub: 'settings', [name]: 'settings', scope })).toBe(200);
  expect(await flag({ sub: 'person', scope })).toBe(401);
  expect(await flag({ sub: 'person', client_id: 'web', scope })).toBe(401);
  for (const more of ['openid', 'profile', 'email', 'offline_access'])
    expect(await flag({ sub: 'settings', client_id: 'settings', scope: `${more} ${scope}` }), more).toBe(401);
  expect(await flag({ sub: 'settings', client_id: 'settings', scope, roles: [] })).toBe(401);
});

it('a refusal is logged with its reason, the request and the issuer; never with the token or its subject', async () => {
  const good = admin('acme', { sub: 'telltale-subject' });
  const past = Math.floor(Date.now() / 1_000) - 60;
  const made = (issuer: Issuer, claims: object, header = {}) => issuer.token({ ...good, ...claims }, header);
  const cases: [string, string, string][] = [
    ['issuer-unknown', 'https://nobody.example', await made(stack.issuer, { iss: 'https://nobody.example' })],
    ['audience', issuers.other.issuer, await made(issuers.other, { aud: 'not-for-us' })],
    ['expired', stack.issuer.issuer, await made(stack.issuer, { exp: past })],
    ['not-yet-valid', stack.issuer.issuer, await made(stack.issuer, { nbf: past + 600 })],
    ['key-unknown', issuers.other.issuer, await made(issuers.other, { aud: issuers.other.audience }, { kid: 'none' })],
    ['signature', issuers.other.issuer, await made(stack.issuer, { iss: issuers.other.issuer })],
    ['claim-missing', stack.issuer.issuer, await made(stack.issuer, { sid: undefined })],
    ['claim-malformed', stack.issuer.issuer, await made(stack.issuer, { roles: 7 })],
    ['claim-contradicts', issuers.customer.issuer, await made(issuers.customer, {})],
  ];
  for (const [reason, issuer, token] of cases) {
    const requestId = randomUUID();
    const { status, text } = await call(stack, 'GET', '/v1/organizations/acme/terminations', {
      token,
      headers: { 'x-request-id': requestId },
    });
    expect([status, text.includes(reason)]).toEqual([401, false]);
    const told = issuers.log.filter((line) => line.includes(requestId) && line.includes('a token was refused'));
    expect(told.map((line) => JSON.parse(line) as unknown)).toMatchObject([{ reason, issuer, requestId }]);
    const all = issuers.log.join('');
    for (const secret of [token, token.split('.')[1] ?? '', token.split('.')[2] ?? '', 'telltale-subject'])
      expect(all.includes(secret)).toBe(false);
  }
});
