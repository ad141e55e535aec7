import { describe, expect, test } from 'vitest';
import { eventually } from '../eventually.ts';
import { inSeconds, newId, newOrganization, type Organization } from '../organization.ts';
import { machine, orgAdmin } from '../people.ts';
import { accessTokenTtlSeconds, type Service } from '../service.ts';
import { BoundsProblem, Grant, GrantExistsProblem, page, ValidationProblem } from '../shapes.ts';

const day = 86_400;
const path = '/support-access-grants';

/** The permission to come in: given for a time, changed, taken back. */
export function grants(service: Service): void {
  const change = (organization: Organization, id: string, body: object, headers: Record<string, string> = {}) =>
    organization.send('PATCH', `${path}/${id}`, { body, headers });
  const revoke = (organization: Organization, id: string) => organization.send('POST', `${path}/${id}/revoke`);
  const untilEnded = (organization: Organization, id: string) =>
    eventually(
      () => organization.grantOf(id),
      ({ status }) => status === 'ended',
    );

  describe('creating a grant', () => {
    test.concurrent('answers 201 with the grant, which is live, and says where it is', async () => {
      const organization = await newOrganization(service);
      const body = { userId: newId('staff'), expiresAt: inSeconds(3_600), reason: 'ticket 4711' };
      const answer = await organization.send('POST', path, { body });
      const grant = answer.as(201, Grant);
      expect(grant).toEqual({
        ...body,
        id: grant.id,
        organizationId: organization.id,
        status: 'active',
        endReason: null,
        createdBy: {
          kind: 'org-admin',
          id: organization.admin.userId,
          sessionId: organization.admin.sessionId,
          supportAccessGrantId: null,
        },
        createdAt: grant.createdAt,
        startsAt: grant.startsAt,
        revision: 1,
        accessEndedAt: null,
        sessionsClearedAt: null,
        endedBy: null,
        stalled: false,
        sessions: { total: 0, cleared: 0 },
      });
      expect(grant.createdAt <= grant.startsAt).toBe(true);
      expect(answer.headers.get('location')).toBe(`${organization.path}${path}/${grant.id}`);
      expect(await organization.grantOf(grant.id)).toEqual(grant);
    });

    test.concurrent('is also what organization settings may do', async () => {
      const { send, id } = await newOrganization(service);
      const as = await machine(service, 'support-access:manage', { sub: 'settings', org_id: id });
      const body = { userId: null, expiresAt: inSeconds(3_600) };
      expect((await send('POST', path, { as, body })).as(201, Grant)).toMatchObject({
        userId: null,
        reason: null,
        createdBy: { kind: 'machine', id: 'settings', sessionId: null, supportAccessGrantId: null },
      });
    });

    test.concurrent('is refused over a live one for the same grantee, which is named', async () => {
      const organization = await newOrganization(service);
      for (const userId of [null, newId('staff')]) {
        const { id } = await organization.grant({ userId });
        const answer = await organization.send('POST', path, { body: { userId, expiresAt: inSeconds(3_600) } });
        expect(answer.refused(409, 'grant-exists', GrantExistsProblem).grantId).toBe(id);
        await revoke(organization, id);
        await organization.grant({ userId });
      }
    });

    test.concurrent('needs somebody else than its creator as grantee', async () => {
      const { send, admin } = await newOrganization(service);
      const body = { userId: admin.userId, expiresAt: inSeconds(3_600) };
      (await send('POST', path, { body })).invalid('/userId');
    });

    test.concurrent('needs an end, a grantee or null, and a reason that is not too long', async () => {
      const { send, sessions } = await newOrganization(service);
      const refusals: [object, string][] = [
        [{ userId: null }, '/expiresAt'],
        [{ userId: null, expiresAt: null }, '/expiresAt'],
        [{ userId: null, expiresAt: 'tomorrow' }, '/expiresAt'],
        [{ expiresAt: inSeconds(3_600) }, '/userId'],
        [{ userId: '', expiresAt: inSeconds(3_600) }, '/userId'],
        [{ userId: 'x'.repeat(256), expiresAt: inSeconds(3_600) }, '/userId'],
      ];
      for (const [body, pointer] of refusals) (await send('POST', path, { body })).invalid(pointer);
      expect(await sessions('user')).toEqual([]);
    });

    test.concurrent('is refused outside the bounds, which are named and never clamped', async () => {
      const { send, grant } = await newOrganization(service);
      for (const seconds of [-60, 0, 91 * day, 4_000 * day])
        expectBounds(await send('POST', path, { body: { userId: null, expiresAt: inSeconds(seconds) } }), 1, 90 * day);
      expect((await send('GET', path)).as(200, page(Grant)).items).toEqual([]);
      await grant({ expiresAt: inSeconds(90 * day - 60) });
    });

    test.concurrent('has bounds of five minutes and thirty days where nothing else is configured', async () => {
      const organization = await newOrganization(service);
      for (const seconds of [4 * 60, 31 * day]) {
        const answer = await service.strictApi.send('POST', `${organization.path}${path}`, {
          as: organization.admin.token,
          body: { userId: null, expiresAt: inSeconds(seconds) },
        });
        expectBounds(answer, 5 * 60, 30 * day);
      }
    });
  });

  describe('grants', () => {
    test.concurrent('are listed newest first, live and past', async () => {
      const organization = await newOrganization(service);
      const past = await organization.grant({ userId: newId('staff') });
      await revoke(organization, past.id);
      const live = await organization.grant({ userId: newId('staff') });
      const { items, nextCursor } = (await organization.send('GET', path)).as(200, page(Grant));
      expect(items.map(({ id, status }) => [id, status === 'active'])).toEqual([
        [live.id, true],
        [past.id, false],
      ]);
      expect(nextCursor).toBeNull();
      const first = (await organization.send('GET', `${path}?limit=1`)).as(200, page(Grant));
      const rest = await organization.send('GET', `${path}?limit=1&cursor=${encodeURIComponent(first.nextCursor!)}`);
      expect(rest.as(200, page(Grant)).items.map(({ id }) => id)).toEqual([past.id]);
    });

    test.concurrent('end by the clock, and then for good', async () => {
      const organization = await newOrganization(service);
      const { id, expiresAt } = await organization.grant({ expiresAt: inSeconds(2) });
      const ended = await untilEnded(organization, id);
      expect(ended).toMatchObject({ endReason: 'expired', revision: expect.any(Number), stalled: false });
      expect(ended.accessEndedAt! >= expiresAt).toBe(true);
      expect(ended.sessionsClearedAt! >= ended.accessEndedAt!).toBe(true);
      (await change(organization, id, { expiresAt: inSeconds(3_600) })).refused(409, 'grant-ended');
      expect(await organization.grantOf(id)).toMatchObject({ status: 'ended', endReason: 'expired', expiresAt });
    });
  });

  describe('changing a grant', () => {
    test.concurrent('sets a later or sooner end, a revision each', async () => {
      const organization = await newOrganization(service);
      const { id } = await organization.grant();
      for (const [index, seconds] of [7_200, 1_800].entries()) {
        const expiresAt = inSeconds(seconds);
        const grant = (await change(organization, id, { expiresAt })).as(200, Grant);
        expect(grant).toMatchObject({ id, expiresAt, revision: index + 2, status: 'active' });
        expect(await organization.grantOf(id)).toEqual(grant);
      }
    });

    test.concurrent('to the same end is no revision', async () => {
      const organization = await newOrganization(service);
      const grant = await organization.grant();
      const answer = await change(organization, grant.id, { expiresAt: grant.expiresAt });
      expect(answer.as(200, Grant)).toEqual(grant);
    });

    test.concurrent('with If-Match is one of that revision alone', async () => {
      const organization = await newOrganization(service);
      const { id } = await organization.grant();
      const to = (seconds: number, ifMatch: string) =>
        change(organization, id, { expiresAt: inSeconds(seconds) }, { 'if-match': ifMatch });
      expect((await to(7_200, '"1"')).as(200, Grant).revision).toBe(2);
      (await to(1_800, '"1"')).refused(412, 'revision-mismatch');
      (await to(1_800, '"3"')).refused(412, 'revision-mismatch');
      (await to(1_800, 'W/"2"')).refused(412, 'revision-mismatch');
      expect((await to(1_800, '"2"')).as(200, Grant).revision).toBe(3);
      expect((await to(2_400, '*')).as(200, Grant).revision).toBe(4);
    });

    test.concurrent(
      'is refused outside the bounds, of which the later is also ninety days from the start',
      async () => {
        const organization = await newOrganization(service);
        const { id, createdAt } = await organization.grant();
        for (const seconds of [-1, 91 * day])
          expectBounds(await change(organization, id, { expiresAt: inSeconds(seconds) }), 0, 90 * day);
        const last = new Date(Date.parse(createdAt) + 90 * day * 1_000);
        const beyond = new Date(last.getTime() + 1).toISOString();
        expectBounds(await change(organization, id, { expiresAt: beyond }), 0, 90 * day);
        expect((await change(organization, id, { expiresAt: last.toISOString() })).as(200, Grant).revision).toBe(2);
      },
    );

    test.concurrent('knows no other field than the end', async () => {
      const organization = await newOrganization(service);
      const { id } = await organization.grant();
      (await change(organization, id, {})).invalid('/expiresAt');
      (await change(organization, id, { expiresAt: inSeconds(3_600), userId: null })).invalid('/userId');
    });

    test.concurrent('makes it end sooner', async () => {
      const organization = await newOrganization(service);
      const { id } = await organization.grant();
      const expiresAt = inSeconds(2);
      expect((await change(organization, id, { expiresAt })).status).toBe(200);
      const ended = await untilEnded(organization, id);
      expect(ended).toMatchObject({ endReason: 'expired', expiresAt });
      expect(ended.accessEndedAt! >= expiresAt).toBe(true);
    });
  });

  describe('revoking a grant', () => {
    test.concurrent('ends it at once, and says by whom', async () => {
      const organization = await newOrganization(service);
      const { id, expiresAt } = await organization.grant();
      const colleague = await orgAdmin(service, organization.id);
      const answer = await organization.send('POST', `${path}/${id}/revoke`, { as: colleague.token });
      const revoked = answer.as(200, Grant);
      expect(revoked).toMatchObject({
        endReason: 'revoked',
        endedBy: { kind: 'org-admin', id: colleague.userId, sessionId: colleague.sessionId },
        expiresAt,
      });
      expect(revoked.status).not.toBe('active');
      expect(revoked.accessEndedAt! < expiresAt).toBe(true);
      const ended = await untilEnded(organization, id);
      expect(ended).toMatchObject({ endReason: 'revoked', accessEndedAt: revoked.accessEndedAt });
      expect(ended.sessionsClearedAt! >= revoked.accessEndedAt!).toBe(true);
    });

    test.concurrent('twice is once', async () => {
      const organization = await newOrganization(service);
      const { id } = await organization.grant();
      const first = (await revoke(organization, id)).as(200, Grant);
      const colleague = await orgAdmin(service, organization.id);
      const again = await organization.send('POST', `${path}/${id}/revoke`, { as: colleague.token });
      const { accessEndedAt, endReason, endedBy } = first;
      expect(again.as(200, Grant)).toMatchObject({ accessEndedAt, endReason, endedBy });
    });

    test.concurrent('is the end: no change brings it back', async () => {
      const organization = await newOrganization(service);
      const { id } = await organization.grant();
      await revoke(organization, id);
      (await change(organization, id, { expiresAt: inSeconds(7_200) })).refused(409, 'grant-ended');
    });

    test.concurrent('an expired one leaves it expired', async () => {
      const organization = await newOrganization(service);
      const { id } = await organization.grant({ expiresAt: inSeconds(accessTokenTtlSeconds) });
      await untilEnded(organization, id);
      expect((await revoke(organization, id)).as(200, Grant)).toMatchObject({ status: 'ended', endReason: 'expired' });
    });
  });
}

/** A refusal that names both bounds as instants, these many seconds from now. */
function expectBounds(answer: Awaited<ReturnType<Organization['send']>>, earliest: number, latest: number): void {
  const problem = answer.refused(422, 'expiry-out-of-bounds', BoundsProblem);
  if ('errors' in problem) ValidationProblem.pick({ errors: true }).parse({ errors: problem['errors'] });
  const named = JSON.stringify(problem).match(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g) ?? [];
  const instants = [...new Set(named)].map((instant) => Date.parse(instant)).toSorted((one, other) => one - other);
  const seconds = instants.map((instant) => (instant - Date.now()) / 1_000);
  expect(seconds, answer.text).toHaveLength(2);
  // the clock went on since the bounds were read
  for (const [index, wanted] of [earliest, latest].entries()) {
    expect(seconds[index], answer.text).toBeLessThanOrEqual(wanted + 0.05);
    expect(seconds[index], answer.text).toBeGreaterThan(wanted - 30);
  }
}
