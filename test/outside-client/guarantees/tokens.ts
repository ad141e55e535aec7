import { describe, expect, test } from 'vitest';
import { eventually } from '../eventually.ts';
import { endpoints, nameOf, pathOf } from '../endpoints.ts';
import { algorithms, type Claims, type Issuer } from '../issuer.ts';
import { newId, newOrganization } from '../organization.ts';
import { orgAdmin } from '../people.ts';
import type { Service } from '../service.ts';
import { page, Session } from '../shapes.ts';

const now = () => Math.floor(Date.now() / 1_000);

const defects: Record<string, (issuer: Issuer, claims: Claims) => string | Promise<string>> = {
  'that has expired': ({ token }, claims) => token({ ...claims, exp: now() - 3_600 }),
  'without exp': ({ token }, claims) => token({ ...claims, exp: undefined }),
  'that is not yet valid': ({ token }, claims) => token({ ...claims, nbf: now() + 3_600 }),
  'with alg none': ({ unsigned }, claims) => unsigned(claims),
  'whose signature was cut off': async ({ token }, claims) => (await token(claims)).replace(/\.[^.]*$/, '.'),
  'signed by HS256 with the published key': ({ symmetric }, claims) => symmetric(claims),
  'of an unknown key': ({ forged }, claims) => forged(claims, 'unknown'),
  'of a stranger’s key under a published id': ({ forged }, claims) => forged(claims, 'published'),
  'of another issuer': ({ token }, claims) => token({ ...claims, iss: 'https://elsewhere.example' }),
  'without an issuer': ({ token }, claims) => token({ ...claims, iss: undefined }),
  'for another audience': ({ token }, claims) => token({ ...claims, aud: 'another-service' }),
  'without an audience': ({ token }, claims) => token({ ...claims, aud: undefined }),
  'without a subject': ({ token }, claims) => token({ ...claims, sub: undefined }),
  'of a person without a session': ({ token }, claims) => token({ ...claims, sid: undefined }),
  'that is no token at all': () => 'not-a-token',
};

/** Which tokens count: those of the issuer's keys, whole, for this service, now. */
export function tokens(service: Service): void {
  describe('tokens', () => {
    test.concurrent.each(algorithms)('a token signed by %s is accepted', async (algorithm) => {
      const organizationId = newId('org');
      const { claims } = await orgAdmin(service, organizationId);
      const token = await service.issuer.token(claims, algorithm);
      const path = `/v1/organizations/${organizationId}/users/nobody/sessions`;
      const answer = await service.api.send('GET', path, { as: token });
      expect(answer.as(200, page(Session))).toEqual({ items: [], nextCursor: null });
    });

    test.concurrent.each(Object.entries(defects))('a token %s is 401', async (_name, make) => {
      const organizationId = newId('org');
      const { claims } = await orgAdmin(service, organizationId);
      const token = await make(service.issuer, claims);
      const path = `/v1/organizations/${organizationId}/users/nobody/sessions`;
      const answer = await service.api.send('GET', path, { as: token });
      answer.refused(401, 'unauthenticated');
      expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer\b/);
    });

    test.concurrent.each(endpoints.map((endpoint) => [nameOf(endpoint), endpoint] as const))(
      '%s without a token is 401',
      async (_name, endpoint) => {
        const answer = await service.api.send(endpoint.method, pathOf(endpoint, { org: newId('org') }));
        answer.refused(401, 'unauthenticated');
        expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer\b/);
      },
    );

    test('a good token in another scheme than Bearer is 401', async () => {
      const organizationId = newId('org');
      const { token } = await orgAdmin(service, organizationId);
      const path = `/v1/organizations/${organizationId}/users/nobody/sessions`;
      const answer = await service.api.send('GET', path, { headers: { authorization: `Basic ${token}` } });
      answer.refused(401, 'unauthenticated');
    });

    test('tokens of unknown keys do not make the service fetch the keys each time', async () => {
      const organizationId = newId('org');
      const { claims } = await orgAdmin(service, organizationId);
      const path = `/v1/organizations/${organizationId}/users/nobody/sessions`;
      const before = service.issuer.fetches();
      for (let count = 0; count < 20; count += 1) {
        const answer = await service.api.send('GET', path, { as: await service.issuer.forged(claims, 'unknown') });
        answer.refused(401, 'unauthenticated');
      }
      expect(service.issuer.fetches() - before).toBeLessThanOrEqual(3);
    });
  });

  describe('a session that was ended here', () => {
    test.concurrent('its token is 401 session-ended on the very next call', async () => {
      const organization = await newOrganization(service);
      const other = await orgAdmin(service, organization.id);
      await organization.signIn(other.userId, { sessionId: other.sessionId });
      const own = `/users/${other.userId}/sessions`;
      expect((await organization.send('GET', own, { as: other.token })).status).toBe(200);
      const path = `/sessions/${other.sessionId}/terminate`;
      await organization.send('POST', path, { headers: { prefer: 'respond-async' } });
      const answer = await organization.send('GET', own, { as: other.token });
      answer.refused(401, 'session-ended');
      expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer\b/);
    });

    test.concurrent('an admin who names their own session ends it', async () => {
      const organization = await newOrganization(service);
      await organization.signIn(organization.admin.userId, { sessionId: organization.admin.sessionId });
      const answer = await organization.send('POST', `/sessions/${organization.admin.sessionId}/terminate`);
      expect(answer.status).toBe(200);
      (await organization.send('GET', '/terminations')).refused(401, 'session-ended');
    });

    test.concurrent('a session nobody told of is judged by its sign-in against the fence', async () => {
      const organization = await newOrganization(service);
      const userId = newId('person');
      const at = (auth_time: number | undefined, iat = now()) =>
        orgAdmin(service, organization.id, { sub: userId, sid: newId('sid'), auth_time, iat });
      const { cutoff } = await organization.terminateAll(userId);
      const list = async ({ token }: { token: string }) =>
        organization.send('GET', `/users/${userId}/sessions`, { as: token });

      (await list(await at(now() - 60))).refused(401, 'session-ended');
      (await list(await at(undefined, now() - 60))).refused(401, 'session-ended');
      const later = await eventually(now, (seconds) => seconds * 1_000 > Date.parse(cutoff));
      expect((await list(await at(later))).status).toBe(200);
      const another = await orgAdmin(service, organization.id, { auth_time: now() - 60 });
      expect((await list(another)).status).toBe(200);
    });

    test.concurrent('a session that a fence keeps goes on, also where nobody told of it', async () => {
      const organization = await newOrganization(service);
      const early = await orgAdmin(service, organization.id, { auth_time: now() - 60 });
      const path = `/users/${early.userId}/sessions/terminate`;
      expect((await organization.send('POST', path, { as: early.token })).status).toBe(200);
      expect((await organization.send('GET', '/terminations', { as: early.token })).status).toBe(200);
    });
  });
}
