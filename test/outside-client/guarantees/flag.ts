import { describe, expect, test } from 'vitest';
import { firstInstantAfter } from '../calendar.ts';
import { inSeconds, newId, newOrganization, type Organization } from '../organization.ts';
import { machine } from '../people.ts';
import { BoundsProblem, Flag } from '../shapes.ts';
import type { Service } from '../service.ts';

const path = '/support-access';
const off = { allowed: false, allowUntil: null, timeZone: null, grantId: null, liveGrants: 0 };

/** "Allow support access until …": the one switch in the organization's settings. */
export function supportAccessFlag(service: Service): void {
  const read = async ({ send }: Organization) => (await send('GET', path)).as(200, Flag);
  const put = ({ send }: Organization, body: object) => send('PUT', path, { body });

  describe('the support access flag', () => {
    test.concurrent('is off in an organization that nobody has used', async () => {
      expect(await read(await newOrganization(service))).toEqual(off);
    });

    test.concurrent('set to an instant allows any Global Admin until then', async () => {
      const organization = await newOrganization(service);
      const allowUntil = inSeconds(3_600);
      const flag = (await put(organization, { allowUntil })).as(200, Flag);
      expect(flag).toEqual({ allowed: true, allowUntil, timeZone: null, grantId: flag.grantId, liveGrants: 1 });
      expect(await read(organization)).toEqual(flag);
      expect(await organization.grantOf(flag.grantId!)).toMatchObject({
        userId: null,
        status: 'active',
        expiresAt: allowUntil,
      });
    });

    test.concurrent('set again changes the same grant', async () => {
      const organization = await newOrganization(service);
      const first = (await put(organization, { allowUntil: inSeconds(3_600) })).as(200, Flag);
      for (const seconds of [7_200, 1_800]) {
        const allowUntil = inSeconds(seconds);
        expect((await put(organization, { allowUntil })).as(200, Flag)).toEqual({ ...first, allowUntil });
      }
      expect(await organization.grantOf(first.grantId!)).toMatchObject({ revision: 3 });
    });

    test.concurrent.each(['Europe/Berlin', 'Asia/Kathmandu', 'America/Los_Angeles', 'Pacific/Kiritimati', 'UTC'])(
      'set to a date in %s ends with that day there',
      async (timeZone) => {
        const organization = await newOrganization(service);
        const date = inSeconds(10 * 86_400).slice(0, 10);
        const flag = (await put(organization, { allowUntil: date, timeZone })).as(200, Flag);
        expect(flag).toMatchObject({ allowed: true, allowUntil: firstInstantAfter(date, timeZone), timeZone });
        expect(await read(organization)).toEqual(flag);
      },
    );

    test.concurrent('set to a date without a zone, or in one that is none, is 422', async () => {
      const organization = await newOrganization(service);
      const date = inSeconds(10 * 86_400).slice(0, 10);
      expect((await put(organization, { allowUntil: date })).status).toBe(422);
      (await put(organization, { allowUntil: date, timeZone: 'Middle/Earth' })).invalid('/timeZone');
      (await put(organization, { allowUntil: '2026-02-30', timeZone: 'UTC' })).invalid('/allowUntil');
      (await put(organization, { allowUntil: 'soon' })).invalid('/allowUntil');
      (await put(organization, {})).invalid('/allowUntil');
      expect(await read(organization)).toEqual(off);
    });

    test.concurrent('set beyond the bounds is 422', async () => {
      const organization = await newOrganization(service);
      for (const seconds of [-86_400, 100 * 86_400]) {
        const answer = await put(organization, { allowUntil: inSeconds(seconds) });
        answer.refused(422, 'expiry-out-of-bounds', BoundsProblem);
      }
      expect(await read(organization)).toEqual(off);
    });

    test.concurrent('is on, without an end of its own, where only named grants live', async () => {
      const organization = await newOrganization(service);
      await organization.grant({ userId: newId('staff') });
      await organization.grant({ userId: newId('staff') });
      expect(await read(organization)).toEqual({ ...off, allowed: true, liveGrants: 2 });
      const flag = (await put(organization, { allowUntil: inSeconds(3_600) })).as(200, Flag);
      expect(flag).toMatchObject({ allowed: true, liveGrants: 3 });
    });

    test.concurrent('deleted ends every live grant, and again changes nothing', async () => {
      const organization = await newOrganization(service);
      const named = await organization.grant({ userId: newId('staff') });
      const { grantId } = (await put(organization, { allowUntil: inSeconds(3_600) })).as(200, Flag);
      for (let count = 0; count < 2; count += 1)
        expect((await organization.send('DELETE', path)).as(200, Flag)).toEqual(off);
      for (const id of [named.id, grantId!])
        expect(await organization.grantOf(id)).toMatchObject({ endReason: 'revoked' });
    });

    test.concurrent('is what organization settings read, set and delete', async () => {
      const organization = await newOrganization(service);
      const as = await machine(service, 'support-access:manage');
      const allowUntil = inSeconds(3_600);
      const set = await organization.send('PUT', path, { as, body: { allowUntil } });
      expect(set.as(200, Flag)).toMatchObject({ allowed: true, allowUntil });
      expect((await organization.send('GET', path, { as })).as(200, Flag)).toMatchObject({ allowed: true });
      expect((await organization.send('DELETE', path, { as })).as(200, Flag)).toEqual(off);
    });
  });
}
