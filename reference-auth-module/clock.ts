/** The Auth Module's own clock, as seen in `startedAt`, `occurredAt` and `sentAt`. */
export interface Clock {
  now(): Date;
}

/** A clock that is `offsetMs` ahead of the machine's (behind, when negative): the service must cope with either. */
export function createClock(offsetMs: number): Clock {
  return { now: () => new Date(Date.now() + offsetMs) };
}
