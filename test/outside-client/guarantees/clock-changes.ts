import { describe, expect, test } from 'vitest';
import { firstInstantAfter, nextDayOf } from '../calendar.ts';
import { newOrganization } from '../organization.ts';
import { Flag } from '../shapes.ts';
import type { Service } from '../service.ts';

const dayMs = 86_400_000;

/** Days that are not 24 hours long. They are months away, so the clock of the database is moved there and back. */
export function clockChanges(service: Service): void {
  describe('the support access flag on a day of another length', () => {
    test.each([
      ['clocks go forward on it', 'Europe/Berlin', 23],
      ['clocks go back on it', 'America/New_York', 25],
      ['clocks go forward at midnight, and the next day begins at one', 'Africa/Cairo', 23],
    ])('ends with it where %s', async (_name, timeZone, hours) => {
      const shortOrLong = nextDayOf(hours, timeZone);
      // at midnight it is the next day that is short, and begins late
      const date = timeZone === 'Africa/Cairo' ? dayBefore(shortOrLong) : shortOrLong;
      const organization = await newOrganization(service);
      await service.database.moveClock(Date.parse(date) - 5 * dayMs - Date.now());
      try {
        const body = { allowUntil: date, timeZone };
        const answer = (await organization.send('PUT', '/support-access', { body })).as(200, Flag);
        expect(answer).toMatchObject({ allowed: true, allowUntil: firstInstantAfter(date, timeZone), timeZone });
        await organization.send('DELETE', '/support-access');
      } finally {
        await service.database.moveClock(0);
      }
    });
  });
}

const dayBefore = (date: string) => new Date(Date.parse(date) - dayMs).toISOString().slice(0, 10);
