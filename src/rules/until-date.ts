import { Temporal } from 'temporal-polyfill';

const dayOfCalendar = /^\d{4}-\d{2}-\d{2}$/;
const instantWithOffset = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:[Zz]|[+-]\d{2}:\d{2})$/;

/** Beyond the year 9999 an instant has no RFC 3339 form, and PostgreSQL does not read the one that JavaScript makes. */
const LAST_INSTANT = Date.UTC(9999, 11, 31, 23, 59, 59, 999);
const inRange = (ms: number): boolean => ms >= 0 && ms <= LAST_INSTANT;

/** Whether this is written as a date (`2026-11-30`); that there is such a day is another question. */
export const isDateForm = (text: string): boolean => dayOfCalendar.test(text);

/**
 * An RFC 3339 instant with its offset, as UTC with milliseconds; null for anything else: without an offset, a day that
 * the calendar does not have (`Date.parse` would make 3 March of 31 February). A finer fraction is cut off.
 */
export function readInstant(text: string): string | null {
  if (!instantWithOffset.test(text)) return null;
  try {
    const { epochMilliseconds } = Temporal.Instant.from(text);
    return inRange(epochMilliseconds) ? new Date(epochMilliseconds).toISOString() : null;
  } catch {
    return null;
  }
}

/** Whether the runtime knows this IANA zone. An offset is no zone: it cannot follow the clock's changes. */
export function isTimeZone(name: string): boolean {
  if (!/^[A-Za-z]/.test(name)) return false;
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }) instanceof Intl.DateTimeFormat;
  } catch {
    return false;
  }
}

/**
 * "Until {date}" means the whole of that day: the first instant of the next day in `timeZone`, UTC with milliseconds.
 * Where clocks are put forward over midnight that is the instant they are; where midnight comes twice, the first one.
 * Null for a day that the calendar does not have. The zone must be one.
 */
export function endOfDay(date: string, timeZone: string): string | null {
  try {
    const next = Temporal.PlainDate.from(date, { overflow: 'reject' }).add({ days: 1 });
    const { epochMilliseconds } = next.toZonedDateTime(timeZone);
    return inRange(epochMilliseconds) ? new Date(epochMilliseconds).toISOString() : null;
  } catch {
    return null;
  }
}
