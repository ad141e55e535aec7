import { describe, expect, test } from 'vitest';
import { faults } from '../auth-module.ts';
import { eventually } from '../eventually.ts';
import { inSeconds, newId, newOrganization, signIn } from '../organization.ts';
import { machine, person } from '../people.ts';
import { type Event, record } from '../session-events.ts';
import type { Service } from '../service.ts';
import { openSupportSession, vendor } from '../support.ts';

/** What vendor staff open under a grant: seen by the organization, and over with the grant. */
export function supportSessions(service: Service): void {
  const send = async (fields: Partial<Event>) => {
    const [result] = await record(service, await machine(service, 'sessions:ingest'), [fields]);
    return `${result!.outcome} ${result!.reason ?? ''}`.trim();
  };
  const opened = async () => {
    const organization = await newOrganization(service);
    const userId = newId('staff');
    const grant = await organization.grant({ userId });
    const session = await openSupportSession(service, organization, { userId, grantId: grant.id });
    return { organization, userId, grant, session };
  };
  const revoke = (organization: { send: (method: string, path: string) => Promise<unknown> }, id: string) =>
    organization.send('POST', `/support-access-grants/${id}/revoke`);

  describe('a support session', () => {
    test.concurrent('is listed to the organization with its grant', async () => {
      const { organization, userId, grant, session } = await opened();
      expect(await organization.sessions(userId, 'status=active')).toMatchObject([
        { id: session.sessionId, organizationId: organization.id, userId, supportAccessGrantId: grant.id },
      ]);
      expect((await organization.grantOf(grant.id)).sessions).toEqual({ total: 1, cleared: 0 });
    });

    test.concurrent('ends, as listed, at the sooner of its own end and the grant’s present one', async () => {
      const { organization, userId, grant, session } = await opened();
      const shown = async () => (await organization.session(userId, session.sessionId))!.expiresAt;
      expect(await shown()).toBe(grant.expiresAt);
      const sooner = inSeconds(600);
      await organization.send('PATCH', `/support-access-grants/${grant.id}`, { body: { expiresAt: sooner } });
      expect(await shown()).toBe(sooner);

      const own = inSeconds(300);
      const short = await openSupportSession(service, organization, { userId, grantId: grant.id, expiresAt: own });
      expect((await organization.session(userId, short.sessionId))!.expiresAt).toBe(own);
    });

    test.concurrent('is over the moment the grant is, also where another lives, and its chain dies', async () => {
      const { organization, userId, grant, session } = await opened();
      await organization.grant();
      await revoke(organization, grant.id);
      expect(await organization.sessions(userId, 'status=active')).toEqual([]);
      expect(await organization.session(userId, session.sessionId)).toMatchObject({ status: 'ended' });
      const ended = await eventually(
        () => organization.grantOf(grant.id),
        ({ status }) => status === 'ended',
      );
      expect(ended.sessions).toEqual({ total: 1, cleared: 1 });
      expect(service.authModule.isAlive(session)).toBe(false);
      expect(service.authModule.isAlive(session.parent)).toBe(true);
      expect(await organization.terminations()).toMatchObject([
        { scope: { kind: 'grant', id: grant.id }, chains: { total: 1, confirmed: 1 } },
      ]);
    });

    test.concurrent('has ended when its grant did, and for that reason, also once it is cleared away', async () => {
      const { organization, userId, grant, session } = await opened();
      await revoke(organization, grant.id);
      const { accessEndedAt } = await eventually(
        () => organization.grantOf(grant.id),
        ({ status }) => status === 'ended',
      );
      expect(await organization.session(userId, session.sessionId)).toMatchObject({
        status: 'ended',
        endReason: 'support-access-ended',
        endedAt: accessEndedAt,
      });
    });

    test.concurrent('is over when the grant expires', async () => {
      const { organization, userId, grant, session } = await opened();
      await organization.send('PATCH', `/support-access-grants/${grant.id}`, { body: { expiresAt: inSeconds(2) } });
      await eventually(
        () => service.authModule.isAlive(session),
        (alive) => !alive,
      );
      expect(await organization.sessions(userId, 'status=active')).toEqual([]);
    });

    test.concurrent('that only the Auth Module knows of dies with the grant as well', async () => {
      const organization = await newOrganization(service);
      const grant = await organization.grant();
      const untold = {
        chainId: newId('chain'),
        sessionId: newId('session'),
        userId: newId('staff'),
        organizationId: organization.id,
        sessionStartedAt: inSeconds(0),
        supportAccessGrantId: grant.id,
      };
      service.authModule.open(untold);
      await revoke(organization, grant.id);
      await eventually(
        () => organization.grantOf(grant.id),
        ({ status }) => status === 'ended',
      );
      expect(service.authModule.isAlive(untold)).toBe(false);
    });

    test.concurrent('keeps the grant ending until its chain is confirmed dead', async () => {
      const { organization, grant, session } = await opened();
      service.authModule.fail(organization.id, faults.answers(500));
      await revoke(organization, grant.id);
      await eventually(
        () => service.authModule.calls(organization.id).length,
        (count) => count > 0,
      );
      expect(await organization.grantOf(grant.id)).toMatchObject({
        status: 'ending',
        sessionsClearedAt: null,
        sessions: { total: 1, cleared: 0 },
      });
      service.authModule.fail(organization.id, undefined);
      await eventually(
        () => organization.grantOf(grant.id),
        ({ status }) => status === 'ended',
      );
      expect(service.authModule.isAlive(session)).toBe(false);
    });

    test.concurrent('leaves nothing to end where the grant opened none', async () => {
      const organization = await newOrganization(service);
      const { id } = await organization.grant();
      await revoke(organization, id);
      await eventually(
        () => organization.grantOf(id),
        ({ status }) => status === 'ended',
      );
      expect(await organization.terminations()).toEqual([]);
    });

    test.concurrent(
      'may act for the organization, whatever the token leaves out, but not raise its grant',
      async () => {
        const { organization, userId, grant, session } = await opened();
        const claims = { sub: userId, sid: session.sessionId, roles: ['org_admin'], org_id: organization.id };
        const { token } = await person(service, claims);
        expect((await organization.send('GET', '/terminations', { as: token })).status).toBe(200);
        const body = { expiresAt: inSeconds(7_200) };
        const answer = await organization.send('PATCH', `/support-access-grants/${grant.id}`, { as: token, body });
        expect(answer.status).toBe(403);
        await revoke(organization, grant.id);
        expect((await organization.send('GET', '/terminations', { as: token })).status).toBeOneOf([401, 403]);
      },
    );
  });

  describe('the start of a support session', () => {
    const start = async (fields: Partial<Event>) => {
      const userId = fields.userId ?? newId('staff');
      const own = await signIn(service, { organizationId: vendor, userId });
      const parentSession = { organizationId: vendor, sessionId: own.sessionId };
      return send({
        type: 'session.started',
        userId,
        sessionId: newId('session'),
        startedAt: inSeconds(0),
        parentSession,
        ...fields,
      });
    };

    test.concurrent('is accepted under a live grant for that user', async () => {
      const organization = await newOrganization(service);
      const { id } = await organization.grant();
      expect(await start({ organizationId: organization.id, supportAccessGrantId: id })).toBe('accepted');
    });

    test.concurrent('is rejected without the staff member’s own session', async () => {
      const organization = await newOrganization(service);
      const { id } = await organization.grant();
      const fields = { organizationId: organization.id, supportAccessGrantId: id, parentSession: undefined as never };
      expect(await start(fields)).toBe('rejected invalid');
    });

    test.concurrent('is rejected where the grant is over, another organization’s or another user’s', async () => {
      const [organization, other] = [await newOrganization(service), await newOrganization(service)];
      const over = await organization.grant();
      await revoke(organization, over.id);
      const named = await organization.grant({ userId: newId('staff') });
      const foreign = await other.grant();
      for (const { id } of [over, named, foreign])
        expect(await start({ organizationId: organization.id, supportAccessGrantId: id })).toBe(
          'rejected support-access-ended',
        );
      const userId = newId('staff');
      await start({ organizationId: organization.id, supportAccessGrantId: over.id, userId });
      expect(await organization.sessions(userId, 'status=active')).toEqual([]);
      expect(await organization.sessions(userId)).toMatchObject([{ status: 'ended' }]);
    });

    test.concurrent('that was rejected is swept all the same, by the grant', async () => {
      const organization = await newOrganization(service);
      const { id } = await organization.grant();
      await revoke(organization, id);
      const chain = { chainId: newId('chain'), sessionId: newId('session'), userId: newId('staff') };
      const started = { ...chain, organizationId: organization.id, supportAccessGrantId: id };
      service.authModule.open({ ...started, sessionStartedAt: inSeconds(0) });
      expect(await start(started)).toBe('rejected support-access-ended');
      await eventually(
        () => service.authModule.isAlive(started),
        (alive) => !alive,
      );
      const terminations = await organization.terminations();
      expect(terminations.length).toBeGreaterThanOrEqual(1);
      for (const { scope } of terminations) expect(scope).toEqual({ kind: 'grant', id });
    });

    test.concurrent('is rejected where the staff member’s own session has ended', async () => {
      const organization = await newOrganization(service);
      const { id } = await organization.grant();
      const own = await signIn(service, { organizationId: vendor, userId: newId('staff') });
      const { userId, sessionId, sessionStartedAt: startedAt } = own;
      await send({ type: 'session.ended', organizationId: vendor, userId, sessionId, startedAt });
      const fields = { organizationId: organization.id, userId, supportAccessGrantId: id };
      expect(await start({ ...fields, parentSession: { organizationId: vendor, sessionId } })).toMatch(/^rejected /);
    });
  });

  describe('the end of a staff member’s own session', () => {
    test.concurrent('ends their support sessions in every organization', async () => {
      const organizations = [await newOrganization(service), await newOrganization(service)];
      const userId = newId('staff');
      const own = await signIn(service, { organizationId: vendor, userId });
      const parentSession = { organizationId: vendor, sessionId: own.sessionId };
      const chains = await Promise.all(
        organizations.map(async (organization) => {
          const { id } = await organization.grant();
          return openSupportSession(service, organization, { userId, grantId: id, parentSession });
        }),
      );
      const { sessionId, sessionStartedAt: startedAt } = own;
      const ended = { organizationId: vendor, userId, sessionId, startedAt, occurredAt: inSeconds(0) };
      expect(await send({ type: 'session.ended', ...ended })).toBe('accepted');
      for (const organization of organizations)
        expect(await organization.sessions(userId, 'status=active')).toEqual([]);
      await eventually(
        () => chains.map(service.authModule.isAlive),
        (alive) => !alive.includes(true),
      );
    });
  });
}
