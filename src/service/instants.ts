/** PostgreSQL's text form of a timestamptz in UTC (`2026-11-24 02:32:03.7+00`) as RFC 3339 with milliseconds. */
export function toInstant(text: string): string {
  return `${text.slice(0, 10)}T${text.slice(11, 19)}.${text.slice(20, -3).padEnd(3, '0').slice(0, 3)}Z`;
}

export const toInstantOrNull = (text: string | null): string | null => (text === null ? null : toInstant(text));
