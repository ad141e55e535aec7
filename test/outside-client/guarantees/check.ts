import { describe, expect, test } from 'vitest';
import { eventually } from '../eventually.ts';
import { inSeconds, newId, newOrganization, type Organization } from '../organization.ts';
import { machine } from '../people.ts';
import type { Service } from '../service.ts';
import { Check } from '../shapes.ts';
import { openSupportSession } from '../support.ts';

/** The question that gateways ask before they let vendor staff in. */
export function check(service: Service): void {
  const askRaw = async (body: object) =>
    service.api.send('POST', '/v1/support-access/check', { as: await machine(service, 'support-access:check'), body });
  const ask = async ({ id }: Organization, fields: object = {}) => {
    const body = { organizationId: id, userId: 'staff', role: 'global_admin', ...fields };
    const answer = await askRaw(body);
    expect(answer.headers.get('cache-control')).toBe('no-store');
    return answer.as(200, Check);
  };
  const revoke = ({ send }: Organization, id: string) => send('POST', `/support-access-grants/${id}/revoke`);
  const denied = (reason: Check['reason']) => ({ decision: 'deny', reason, maxAgeSeconds: 5 });

  describe('checking support access', () => {
    test.concurrent('allows under a live grant, and says until when', async () => {
      const organization = await newOrganization(service);
      const { id, expiresAt } = await organization.grant({ userId: 'staff' });
      expect(await ask(organization)).toEqual({
        decision: 'allow',
        reason: 'granted',
        grantId: id,
        notAfter: expiresAt,
        maxAgeSeconds: 5,
      });
    });

    test.concurrent('denies whoever has another role', async () => {
      const organization = await newOrganization(service);
      await organization.grant();
      for (const role of ['org_admin', 'member', 'GLOBAL_ADMIN', 'anything'])
        expect(await ask(organization, { role }), role).toMatchObject(denied('not-eligible'));
    });

    test.concurrent('denies where there never was a grant for them', async () => {
      const organization = await newOrganization(service);
      const nothing = { grantId: null, notAfter: null };
      expect(await ask(organization)).toEqual({ ...denied('no-grant'), ...nothing });
      await organization.grant({ userId: 'somebody-else' });
      expect(await ask(organization)).toMatchObject(denied('no-grant'));
    });

    test.concurrent('denies from the revocation on', async () => {
      const organization = await newOrganization(service);
      const { id } = await organization.grant();
      expect((await ask(organization)).decision).toBe('allow');
      await revoke(organization, id);
      expect(await ask(organization)).toMatchObject(denied('revoked'));
    });

    test.concurrent('denies from the end on, to the moment, and allows no caching beyond it', async () => {
      const organization = await newOrganization(service);
      const { expiresAt } = await organization.grant({ expiresAt: inSeconds(2.5) });
      const timed = async () => ({ askedAt: Date.now(), answer: await ask(organization), answeredAt: Date.now() });
      const early = await timed();
      expect(early.answer).toMatchObject({ decision: 'allow', notAfter: expiresAt });
      expect(early.answer.maxAgeSeconds * 1_000).toBeLessThanOrEqual(Date.parse(expiresAt) - early.askedAt);
      const late = await eventually(timed, ({ answer }) => answer.decision === 'deny');
      expect(late.answer).toMatchObject(denied('expired'));
      expect(late.answeredAt).toBeGreaterThanOrEqual(Date.parse(expiresAt));
      expect(late.askedAt - Date.parse(expiresAt)).toBeLessThan(1_000);
    });

    test.concurrent('tells of the latest grant where none is live', async () => {
      const organization = await newOrganization(service);
      const first = await organization.grant({ expiresAt: inSeconds(2) });
      await eventually(
        () => organization.grantOf(first.id),
        ({ status }) => status !== 'active',
      );
      expect((await ask(organization)).reason).toBe('expired');
      const { id } = await organization.grant();
      await revoke(organization, id);
      expect((await ask(organization)).reason).toBe('revoked');
    });

    test.concurrent('names the one that ends last where several live', async () => {
      const organization = await newOrganization(service);
      const named = await organization.grant({ userId: 'staff', expiresAt: inSeconds(7_200) });
      const any = await organization.grant({ expiresAt: inSeconds(3_600) });
      expect(await ask(organization)).toMatchObject({ grantId: named.id, notAfter: named.expiresAt });
      await revoke(organization, named.id);
      expect(await ask(organization)).toMatchObject({ grantId: any.id, notAfter: any.expiresAt });
    });

    test.concurrent('refuses a question that is none', async () => {
      const whole = { organizationId: 'org', userId: 'staff', role: 'global_admin' };
      for (const field of Object.keys(whole)) (await askRaw({ ...whole, [field]: undefined })).invalid(`/${field}`);
      (await askRaw({ ...whole, sessionId: '' })).invalid('/sessionId');
    });
  });

  describe('checking a support session', () => {
    const opened = async () => {
      const organization = await newOrganization(service);
      const userId = newId('staff');
      const { id } = await organization.grant({ userId });
      const { sessionId } = await openSupportSession(service, organization, { userId, grantId: id });
      return { organization, userId, sessionId, grantId: id };
    };

    test.concurrent('allows while its own grant lives', async () => {
      const { organization, userId, sessionId, grantId } = await opened();
      await organization.grant({ expiresAt: inSeconds(86_400) });
      expect(await ask(organization, { userId, sessionId })).toMatchObject({ decision: 'allow', grantId });
    });

    test.concurrent('denies when that is over, though another grant lives', async () => {
      const { organization, userId, sessionId, grantId } = await opened();
      await organization.grant();
      await revoke(organization, grantId);
      expect(await ask(organization, { userId, sessionId })).toMatchObject(denied('session-ended'));
      expect((await ask(organization, { userId })).decision).toBe('allow');
    });

    test.concurrent('denies when the session was ended', async () => {
      const { organization, userId, sessionId } = await opened();
      await organization.send('POST', `/sessions/${sessionId}/terminate`);
      expect(await ask(organization, { userId, sessionId })).toMatchObject(denied('session-ended'));
    });

    test.concurrent('denies for another user and in another organization', async () => {
      const { organization, userId, sessionId } = await opened();
      await organization.grant();
      const stranger = { userId: newId('staff'), sessionId };
      expect(await ask(organization, stranger)).toMatchObject(denied('session-ended'));
      const other = await newOrganization(service);
      await other.grant();
      expect(await ask(other, { userId, sessionId })).toMatchObject(denied('session-ended'));
    });

    test.concurrent('judges one that nobody told of by the grants', async () => {
      const organization = await newOrganization(service);
      const sessionId = newId('session');
      expect(await ask(organization, { sessionId })).toMatchObject(denied('no-grant'));
      const { id } = await organization.grant();
      expect(await ask(organization, { sessionId })).toMatchObject({ decision: 'allow', grantId: id });
    });
  });
}
