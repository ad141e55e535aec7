import { describe, expect, test } from 'vitest';
import { type Act, type Endpoint, endpoints, nameOf, pathOf } from '../endpoints.ts';
import type { Claims } from '../issuer.ts';
import { inSeconds, newId, newOrganization } from '../organization.ts';
import { globalAdmin, machine, orgAdmin, person } from '../people.ts';
import { event } from '../session-events.ts';
import type { Service } from '../service.ts';
import { Check, EventResults, Grant, Termination } from '../shapes.ts';

const everyAct: Act[] = [...new Set(endpoints.map(({ act }) => act))];
const elsewhere: Act[] = ['ingest', 'check'];
const inOrganization = everyAct.filter((act) => !elsewhere.includes(act));
const inOrganizations = endpoints.filter(({ act }) => inOrganization.includes(act));

const mayDo: [string, Act[]][] = [
  ['sessions:ingest', ['ingest']],
  ['support-access:check', ['check']],
  [
    'support-access:manage',
    ['read-flag', 'change-flag', 'create-grant', 'read-grants', 'change-grant', 'revoke-grant'],
  ],
  ['sessions:ingest-not', []],
];
/** Reading what the flag says, and lowering it, is not in the list of what a Global Admin may: left to the service. */
const globalAdminMay: Act[] = ['list', 'terminate', 'read-terminations', 'read-grants', 'read-audit', 'revoke-grant'];
const globalAdminNever = inOrganizations.filter(
  ({ act, method }) => act === 'create-grant' || act === 'change-grant' || (act === 'change-flag' && method === 'PUT'),
);

/** Who may do what, decided from the token before anything is looked up. */
export function whoMayDoWhat(service: Service): void {
  const call = (endpoint: Endpoint, org: string, token: string) =>
    service.api.send(endpoint.method, pathOf(endpoint, { org }), { as: token });

  describe('who may do what', () => {
    test.concurrent.each(named(inOrganizations))(
      'an Org Admin of this organization may %s',
      async (_name, endpoint) => {
        const org = newId('org');
        const { token } = await orgAdmin(service, org);
        expect((await call(endpoint, org, token)).status).not.toBeOneOf([401, 403, 500]);
      },
    );

    test.concurrent.each(named(inOrganizations))('an Org Admin of another may not %s', async (_name, endpoint) => {
      const { token } = await orgAdmin(service, newId('org'));
      (await call(endpoint, newId('org'), token)).refused(403, 'organization-forbidden');
    });

    test.concurrent.each(named(inOrganizations))(
      'a Global Admin without a grant may not %s',
      async (_name, endpoint) => {
        const { token } = await globalAdmin(service);
        (await call(endpoint, newId('org'), token)).refused(403, 'support-access-required');
      },
    );

    test.concurrent.each(named(endpoints))('a member without a role may not %s', async (_name, endpoint) => {
      const org = newId('org');
      const { token } = await person(service, { roles: ['member'], org_id: org });
      (await call(endpoint, org, token)).refused(403, 'role-required');
    });

    test.concurrent('an Org Admin may neither send session events nor check support access', async () => {
      const org = newId('org');
      const { token } = await orgAdmin(service, org);
      for (const endpoint of endpoints.filter(({ act }) => elsewhere.includes(act)))
        (await call(endpoint, org, token)).refused(403, 'role-required');
    });

    test.concurrent.each(mayDo)('a machine with the scope %s may do that and nothing else', async (scope, acts) => {
      const token = await machine(service, scope);
      for (const endpoint of endpoints) {
        const answer = await call(endpoint, newId('org'), token);
        if (acts.includes(endpoint.act)) expect(answer.status, nameOf(endpoint)).not.toBeOneOf([401, 403, 500]);
        else answer.refused(403, 'role-required');
      }
    });

    test.concurrent('a machine with all scopes has what each of them gives', async () => {
      const token = await machine(service, 'support-access:manage sessions:ingest');
      for (const endpoint of endpoints.filter(({ act }) => act === 'ingest' || act === 'read-flag'))
        expect((await call(endpoint, newId('org'), token)).status).not.toBeOneOf([401, 403, 500]);
    });

    test.concurrent('a machine of one organization does not speak for another', async () => {
      const [own, other] = [newId('org'), newId('org')];
      const manage = await machine(service, 'support-access:manage', { org_id: own });
      const flag = endpoints.find(({ act }) => act === 'read-flag')!;
      expect((await call(flag, own, manage)).status).toBe(200);
      (await call(flag, other, manage)).refused(403, 'role-required');
    });

    test.concurrent('events of one organization are not taken from another’s machine', async () => {
      const [own, other] = [newId('org'), newId('org')];
      const ingest = await machine(service, 'sessions:ingest', { org_id: own });
      const events = [other, own].map((organizationId) =>
        event({
          type: 'session.started',
          organizationId,
          userId: 'user',
          sessionId: 'session',
          startedAt: inSeconds(-60),
        }),
      );
      const answer = await service.api.send('POST', '/v1/session-events', { as: ingest, body: { events } });
      const { results } = answer.as(200, EventResults);
      expect(results.map(({ outcome }) => outcome)).toEqual(['rejected', 'accepted']);
    });

    test.concurrent('the check of a machine of one organization never allows in another', async () => {
      const organization = await newOrganization(service);
      await organization.grant();
      const ask = async (org_id: string) =>
        service.api.send('POST', '/v1/support-access/check', {
          as: await machine(service, 'support-access:check', { org_id }),
          body: { organizationId: organization.id, userId: newId('staff'), role: 'global_admin' },
        });
      expect((await ask(organization.id)).as(200, Check)).toMatchObject({ decision: 'allow' });
      expect((await ask(newId('org'))).status).toBe(403);
    });

    test.concurrent('a scope makes no machine of a person', async () => {
      const org = newId('org');
      const scope = 'sessions:ingest support-access:check support-access:manage';
      const member = await person(service, { scope, org_id: org });
      const sessionless = await service.issuer.token({ sub: newId('person'), scope, roles: ['member'], org_id: org });
      for (const endpoint of endpoints) {
        (await call(endpoint, org, member.token)).refused(403, 'role-required');
        (await call(endpoint, org, sessionless)).refused(401, 'unauthenticated');
      }
    });
  });

  describe('a Global Admin with a live grant', () => {
    test.concurrent('may list, terminate, read grants and audit, and revoke', async () => {
      const organization = await newOrganization(service);
      await organization.grant();
      const { token } = await globalAdmin(service);
      for (const endpoint of inOrganizations.filter(({ act }) => globalAdminMay.includes(act)))
        expect((await call(endpoint, organization.id, token)).status, nameOf(endpoint)).not.toBeOneOf([401, 403, 500]);
    });

    test.concurrent('may never create, extend or raise one', async () => {
      const organization = await newOrganization(service);
      const { id } = await organization.grant();
      const { token } = await globalAdmin(service);
      for (const endpoint of globalAdminNever) {
        const path = pathOf(endpoint, { org: organization.id, grant: id });
        (await service.api.send(endpoint.method, path, { as: token })).refused(403, 'support-access-required');
      }
      expect(await organization.grantOf(id)).toMatchObject({ status: 'active', revision: 1 });
    });

    test.concurrent('may nothing where the grant is for somebody else', async () => {
      const organization = await newOrganization(service);
      await organization.grant({ userId: newId('staff') });
      const { token } = await globalAdmin(service);
      for (const endpoint of inOrganizations)
        (await call(endpoint, organization.id, token)).refused(403, 'support-access-required');
    });

    test.concurrent('is named with the grant in what they ended', async () => {
      const organization = await newOrganization(service);
      const staff = await globalAdmin(service);
      const { id } = await organization.grant({ userId: staff.userId });
      await organization.signIn('user');
      const answer = await organization.send('POST', '/users/user/sessions/terminate', { as: staff.token });
      const actor = {
        kind: 'global-admin',
        id: staff.userId,
        sessionId: staff.sessionId,
        supportAccessGrantId: id,
      };
      expect(answer.as(200, Termination).requestedBy).toEqual(actor);
      expect((await organization.audit('action=termination.requested')).map((entry) => entry.actor)).toEqual([actor]);
    });

    test.concurrent('gives access back, and is out on the next call', async () => {
      const organization = await newOrganization(service);
      const staff = await globalAdmin(service);
      const { id } = await organization.grant({ userId: staff.userId });
      const answer = await organization.send('POST', `/support-access-grants/${id}/revoke`, { as: staff.token });
      expect(answer.as(200, Grant)).toMatchObject({ endReason: 'revoked', endedBy: { kind: 'global-admin' } });
      const next = await organization.send('GET', '/terminations', { as: staff.token });
      next.refused(403, 'support-access-required');
    });
  });

  describe('a token that names a grant', () => {
    const asAdmin = (organizationId: string, claims: Claims) => orgAdmin(service, organizationId, claims);

    test.concurrent('is a Global Admin’s under that grant, whatever roles and organization it has', async () => {
      const organization = await newOrganization(service);
      const { id, expiresAt } = await organization.grant();
      const { token } = await asAdmin(organization.id, { support_access_grant_id: id });
      expect((await organization.send('GET', '/terminations', { as: token })).status).toBe(200);
      const body = { userId: newId('staff'), expiresAt };
      expect((await organization.send('POST', '/support-access-grants', { as: token, body })).status).toBe(403);
      await organization.send('POST', `/support-access-grants/${id}/revoke`);
      (await organization.send('GET', '/terminations', { as: token })).refused(403, 'support-access-required');
    });

    test.concurrent('is nobody’s where that grant is another organization’s', async () => {
      const [organization, other] = [await newOrganization(service), await newOrganization(service)];
      const { id } = await other.grant();
      const { token } = await asAdmin(organization.id, { support_access_grant_id: id });
      (await organization.send('GET', '/terminations', { as: token })).refused(403, 'support-access-required');
    });
  });
}

const named = (list: Endpoint[]) => list.map((endpoint) => [nameOf(endpoint), endpoint] as const);
