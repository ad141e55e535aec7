import type { ErrorClass } from './termination.ts';

/** Failures in a row that are answered quickly; the one that completes the number starts the patient phase. */
export const quickAttempts = 8;
const quickFirstMs = 500;
const quickLongestMs = 20_000;
const patientFirstMs = 90_000;
const patientLongestMs = 300_000;

/** Bounds of any `Retry-After` that is obeyed. Never zero: a zero delay ends Temporal's own retries. */
export const retryAfterBoundsMs = { min: 1_000, max: 900_000 } as const;

export type RetryPhase = 'quick' | 'patient';

export interface Failure {
  /** How many attempts failed in a row, this one included; 1 is the first. */
  attempt: number;
  errorClass: ErrorClass;
  /** The whole call was refused by a status that only a changed configuration mends: see `isRefusal`. */
  refused: boolean;
  /** What the answer asked for, or null. It overrides the delay, never the phase. */
  retryAfterMs: number | null;
  /** In [0, 1): the jitter, drawn by the caller, so that this stays a pure function. */
  random: number;
}

/**
 * When to try again what was not confirmed. There is no last attempt: a revocation is never dropped.
 * Quick: 0.5 s doubling to 20 s, up to a quarter sooner. Patient: growing from 1 to 5 minutes, up to a third sooner.
 * A refused call is patient from its first failure on; the outcome `failed` of a single chain is quick first.
 * Guarantees a whole number of milliseconds, at least 375, whatever the arguments are (NaN and infinities included).
 */
export function nextAttempt(failure: Failure): { phase: RetryPhase; delayMs: number } {
  const failures = Number.isNaN(failure.attempt) ? 1 : Math.max(1, Math.floor(failure.attempt));
  const refused = failure.errorClass === 'unauthorized' || failure.refused;
  const phase = refused || failures >= quickAttempts ? 'patient' : 'quick';
  const asked = clampRetryAfterMs(failure.retryAfterMs);
  if (asked !== null) return { phase, delayMs: asked };
  const random = failure.random >= 0 && failure.random < 1 ? failure.random : 0;
  if (phase === 'quick')
    return { phase, delayMs: jittered(quickFirstMs * 2 ** (failures - 1), quickLongestMs, 3 / 4, random) };
  const patientFailures = failures - (refused ? 1 : quickAttempts);
  return { phase, delayMs: jittered(patientFirstMs * 1.5 ** patientFailures, patientLongestMs, 2 / 3, random) };
}

/** Between `share` of the delay and the whole of it, the delay bounded by `longestMs`. */
function jittered(delayMs: number, longestMs: number, share: number, random: number): number {
  const bounded = Math.min(delayMs, longestMs);
  return Math.round(bounded * (share + (1 - share) * random));
}

/**
 * Whether a status refuses the whole call in a way that waiting does not mend: 4xx other than 408, 425 and 429.
 * It is retried patiently and deserves an alert. Null (no answer at all) is no refusal.
 */
export const isRefusal = (status: number | null): boolean =>
  status !== null && status >= 400 && status < 500 && ![408, 425, 429].includes(status);

/** A wait that the other side asked for, within 1 s … 15 min; null where none was asked for or it is no number. */
export function clampRetryAfterMs(retryAfterMs: number | null): number | null {
  if (retryAfterMs === null || Number.isNaN(retryAfterMs)) return null;
  return Math.round(Math.min(Math.max(retryAfterMs, retryAfterBoundsMs.min), retryAfterBoundsMs.max));
}
