import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { endOfDay, isTimeZone, readInstant } from '../../src/rules/until-date.ts';

describe('until a date', () => {
  it.each([
    ['an ordinary day', '2026-11-30', 'Europe/Zurich', '2026-11-30T23:00:00.000Z'],
    ['the day that clocks go forward has 23 hours', '2026-03-29', 'Europe/Zurich', '2026-03-29T22:00:00.000Z'],
    ['the day that clocks go back has 25 hours', '2026-10-25', 'Europe/Zurich', '2026-10-25T23:00:00.000Z'],
    ['the last day of a year', '2026-12-31', 'Pacific/Kiritimati', '2026-12-31T10:00:00.000Z'],
    ['the leap day', '2028-02-28', 'UTC', '2028-02-29T00:00:00.000Z'],
    [
      'midnight does not exist: clocks go from 23:59:59 to 01:00',
      '2018-11-03',
      'America/Sao_Paulo',
      '2018-11-04T03:00:00.000Z',
    ],
    ['midnight does not exist, in Cairo', '2026-04-23', 'Africa/Cairo', '2026-04-23T22:00:00.000Z'],
    ['midnight comes twice: the first one', '2026-10-31', 'America/Havana', '2026-11-01T04:00:00.000Z'],
    [
      'the hour before midnight comes twice: the day ends after the second',
      '2018-02-17',
      'America/Sao_Paulo',
      '2018-02-18T03:00:00.000Z',
    ],
    ['a half-hour zone with a half-hour change', '2026-04-04', 'Australia/Lord_Howe', '2026-04-04T13:00:00.000Z'],
    ['the next day was skipped as a whole', '2011-12-29', 'Pacific/Apia', '2011-12-30T10:00:00.000Z'],
  ])('%s', (_, date, zone, end) => {
    expect(endOfDay(date, zone)).toBe(end);
  });

  it('the end is the first instant whose date there is not that day any more', () => {
    const zones = Intl.supportedValuesOf('timeZone');
    const dates = fc.date({ min: new Date('2020-01-01'), max: new Date('2037-12-31'), noInvalidDate: true });
    fc.assert(
      fc.property(fc.constantFrom(...zones), dates, (zone, at) => {
        const date = at.toISOString().slice(0, 10);
        const end = Date.parse(endOfDay(date, zone) ?? '');
        const dayAt = (ms: number) =>
          new Intl.DateTimeFormat('en-CA', {
            timeZone: zone,
            year: 'numeric',
            month: '2-digit',
            day: '2-digit',
          }).format(ms);
        expect([dayAt(end - 1), dayAt(end) > date]).toEqual([date, true]);
      }),
      { numRuns: 300 },
    );
  });

  it.each(['2026-02-31', '2026-13-01', '2026-00-10', '2027-02-29'])('%s is no day', (date) =>
    expect(endOfDay(date, 'UTC')).toBeNull(),
  );

  it.each([
    ['Europe/Zurich', true],
    ['utc', true],
    ['Mars/Olympus', false],
    ['+02:00', false],
    ['', false],
    ['../etc/passwd', false],
  ])('%j is a zone: %s', (name, is) => expect(isTimeZone(name)).toBe(is));
});

describe('an instant', () => {
  it('is read whatever its offset', () => {
    expect(readInstant('2026-11-30T17:00:00+01:00')).toBe('2026-11-30T16:00:00.000Z');
    expect(readInstant('2026-11-30T17:00:00.1239Z')).toBe('2026-11-30T17:00:00.123Z');
  });
  it.each([
    '2026-02-31T00:00:00Z',
    '2026-11-30T17:00:00',
    '2026-11-30',
    '2026-11-30T25:00:00Z',
    'tomorrow',
    '',
    '2026-11-30T17:00:00+25:00',
    '1700000000',
  ])('%j is none', (text) => expect(readInstant(text)).toBeNull());
  it('written by Date is the same again', () => {
    fc.assert(
      fc.property(
        fc.date({ min: new Date(1), max: new Date('9999-12-31'), noInvalidDate: true }),
        (at) => readInstant(at.toISOString()) === at.toISOString(),
      ),
    );
  });
});
