const quarterHourMs = 900_000;
const dayMs = 86_400_000;

/** Found by looking at the calendar there every quarter of an hour, for every change of clocks is at one. */
export function firstInstantAfter(date: string, timeZone: string): string {
  const calendar = new Intl.DateTimeFormat('en-CA', { timeZone, dateStyle: 'short' });
  let instant = Date.parse(date) - dayMs;
  while (calendar.format(instant) <= date) instant += quarterHourMs;
  return new Date(instant).toISOString();
}

/** How long a day is there. */
export function hoursOf(date: string, timeZone: string): number {
  const dayBefore = new Date(Date.parse(date) - dayMs).toISOString().slice(0, 10);
  return (
    (Date.parse(firstInstantAfter(date, timeZone)) - Date.parse(firstInstantAfter(dayBefore, timeZone))) / 3_600_000
  );
}

/** The first day, within a year and a half, that is so many hours long there. */
export function nextDayOf(hours: number, timeZone: string): string {
  for (let days = 1; days < 550; days += 1) {
    const date = new Date(Date.now() + days * dayMs).toISOString().slice(0, 10);
    if (hoursOf(date, timeZone) === hours) return date;
  }
  throw new Error(`no day of ${hours} hours in ${timeZone}`);
}
