import { describe, expect, test } from 'vitest';
import { eventually } from '../eventually.ts';
import { inSeconds, newId, newOrganization, type Organization } from '../organization.ts';
import { machine, orgAdmin } from '../people.ts';
import { type Service, strictWritesPerMinute } from '../service.ts';
import { Check, Flag, Grant, page, Session, Termination } from '../shapes.ts';

const grants = '/support-access-grants';
const flag = '/support-access';

/** What an API process does whose neighbours are away, and whose callers want too much. */
export function outages(service: Service): void {
  /** The same call, made at the API process that is cut off. */
  const at = ({ path, admin }: Organization, method: string, rest: string, body?: object, as = admin.token) =>
    service.strictApi.send(method, `${path}${rest}`, { as, body, headers: { prefer: 'wait=30' } });
  const check = async ({ id }: Organization) => {
    const body = { organizationId: id, userId: 'staff', role: 'global_admin' };
    const as = await machine(service, 'support-access:check');
    return service.strictApi.send('POST', '/v1/support-access/check', { as, body });
  };

  describe('without Temporal', () => {
    test.concurrent('ending is decided at once, without waiting, and done when a worker finds it', async () => {
      const organization = await newOrganization(service);
      const chain = await organization.signIn('user');
      const askedAt = Date.now();
      const answer = await at(organization, 'POST', '/users/user/sessions/terminate');
      const { id, status } = answer.as(202, Termination);
      expect(Date.now() - askedAt).toBeLessThan(10_000);
      expect(status).toBe('running');
      expect(answer.headers.get('location')).toBe(`${organization.path}/terminations/${id}`);
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
      expect(await organization.sessions('user', 'status=active')).toEqual([]);
      const completed = await eventually(
        () => organization.termination(id),
        (now) => now.status === 'completed',
      );
      expect(completed.chains).toMatchObject({ total: 1, confirmed: 1 });
      expect(service.authModule.isAlive(chain)).toBe(false);
    });

    test.concurrent('nothing is given: 503, and nothing is granted then or later', async () => {
      const organization = await newOrganization(service);
      const body = { userId: null, expiresAt: inSeconds(3_600) };
      (await at(organization, 'POST', grants, body)).refused(503, 'workflow-engine-unavailable');
      const put = await at(organization, 'PUT', flag, { allowUntil: inSeconds(3_600) });
      put.refused(503, 'workflow-engine-unavailable');
      expect((await check(organization)).as(200, Check)).toMatchObject({ decision: 'deny', reason: 'no-grant' });
      expect((await organization.send('GET', grants)).as(200, page(Grant)).items).toEqual([]);
      expect((await organization.send('GET', flag)).as(200, Flag)).toMatchObject({ allowed: false, liveGrants: 0 });
      // refused is refused: nothing is in the way of asking again
      await organization.grant();
    });

    test.concurrent('what was given is read, changed, taken back, and checked', async () => {
      const organization = await newOrganization(service);
      const { id } = await organization.grant();
      const expiresAt = inSeconds(1_800);
      expect((await at(organization, 'PATCH', `${grants}/${id}`, { expiresAt })).as(200, Grant).expiresAt).toBe(
        expiresAt,
      );
      expect((await check(organization)).as(200, Check)).toMatchObject({ decision: 'allow', notAfter: expiresAt });
      const revoked = (await at(organization, 'POST', `${grants}/${id}/revoke`)).as(200, Grant);
      expect(revoked).toMatchObject({ endReason: 'revoked' });
      expect((await check(organization)).as(200, Check)).toMatchObject({ decision: 'deny', reason: 'revoked' });
      await eventually(
        () => organization.grantOf(id),
        ({ status }) => status === 'ended',
      );
    });

    test.concurrent('the flag is still lowered', async () => {
      const organization = await newOrganization(service);
      await organization.grant({ userId: newId('staff') });
      await organization.grant();
      expect((await at(organization, 'DELETE', flag)).as(200, Flag)).toMatchObject({ allowed: false, liveGrants: 0 });
    });
  });

  describe('too many writes', () => {
    const write = (organization: Organization, as?: string) =>
      at(organization, 'DELETE', flag, undefined, as ?? organization.admin.token);

    test.concurrent('of one caller in one organization are 429, and the answer says when to come again', async () => {
      const organization = await newOrganization(service);
      for (let count = 0; count < strictWritesPerMinute; count += 1)
        expect((await write(organization)).status).toBe(200);
      const answer = await write(organization);
      answer.refused(429, 'rate-limited');
      const seconds = Number(answer.headers.get('retry-after'));
      expect(seconds).toBeGreaterThanOrEqual(1);
      expect(seconds).toBeLessThanOrEqual(60);
      // reading goes on, and so does everybody else
      expect((await at(organization, 'GET', flag)).status).toBe(200);
      expect((await write(organization, (await orgAdmin(service, organization.id)).token)).status).toBe(200);
    });

    test.concurrent('of a machine are none', async () => {
      const organization = await newOrganization(service);
      const as = await machine(service, 'support-access:manage');
      for (let count = 0; count <= strictWritesPerMinute; count += 1)
        expect((await write(organization, as)).status).toBe(200);
    });
  });

  describe('without the database', () => {
    test('every call is 503 and changes nothing; the process lives, says so, and goes on when it is back', async () => {
      const organization = await newOrganization(service);
      const chain = await organization.signIn('user');
      const { id } = await organization.grant();
      const list = () => at(organization, 'GET', '/users/user/sessions');
      const probe = (path: string) => service.strictApi.send('GET', path);
      expect((await list()).as(200, page(Session)).items).toHaveLength(1);

      service.strictDatabase.cut();
      try {
        const calls = [
          list(),
          at(organization, 'POST', '/users/user/sessions/terminate'),
          at(organization, 'POST', grants, { userId: newId('staff'), expiresAt: inSeconds(3_600) }),
          at(organization, 'POST', `${grants}/${id}/revoke`),
          at(organization, 'GET', '/audit-events'),
          check(organization),
        ];
        for (const answer of await Promise.all(calls)) answer.refused(503, 'database-unavailable');
        expect((await probe('/healthz')).status).toBe(200);
        expect((await probe('/readyz')).status).toBe(503);
      } finally {
        service.strictDatabase.mend();
      }
      await eventually(list, ({ status }) => status === 200);
      expect(await organization.session('user', chain.sessionId)).toMatchObject({ status: 'active' });
      expect(await organization.terminations()).toEqual([]);
      expect(await organization.grantOf(id)).toMatchObject({ status: 'active' });
    });
  });
}
