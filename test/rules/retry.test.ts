import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { clampRetryAfterMs, isRefusal, nextAttempt, quickAttempts, type Failure } from '../../src/rules/retry.ts';
import { errorClasses } from '../../src/rules/termination.ts';

const failure = (over: Partial<Failure> = {}): Failure => ({
  attempt: 1,
  errorClass: 'server-error',
  refused: false,
  retryAfterMs: null,
  random: 0.5,
  ...over,
});
const anyFailure = fc.record<Failure>({
  attempt: fc.oneof(fc.integer(), fc.double()),
  errorClass: fc.constantFrom(...errorClasses),
  refused: fc.boolean(),
  retryAfterMs: fc.option(fc.oneof(fc.integer(), fc.double())),
  random: fc.oneof(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), fc.double()),
});
const jitter = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const attempts = fc.integer({ min: 1, max: 100_000 });

describe('there is always a next attempt', () => {
  it('after a whole, positive, bounded number of milliseconds, whatever the arguments', () => {
    fc.assert(
      fc.property(anyFailure, (any) => {
        const { delayMs } = nextAttempt(any);
        expect(Number.isSafeInteger(delayMs)).toBe(true);
        expect(delayMs).toBeGreaterThanOrEqual(375);
        expect(delayMs).toBeLessThanOrEqual(900_000);
      }),
    );
  });

  it('never more than 5 minutes away unless the Auth Module asked for longer', () => {
    fc.assert(
      fc.property(anyFailure, (any) => {
        expect(nextAttempt({ ...any, retryAfterMs: null }).delayMs).toBeLessThanOrEqual(300_000);
      }),
    );
  });
});

describe('the quick phase', () => {
  it('doubles from half a second to 20 seconds over 8 attempts', () => {
    const upper = Array.from({ length: 7 }, (_, i) => nextAttempt(failure({ attempt: i + 1, random: 1 - 2 ** -53 })));
    expect(upper.map((next) => next.delayMs)).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 20_000]);
    expect(upper.every((next) => next.phase === 'quick')).toBe(true);
    expect(nextAttempt(failure({ attempt: quickAttempts })).phase).toBe('patient');
  });

  it('comes first for an outcome `failed`, and for 408, 425 and 429, although their class is a rejection', () => {
    expect(nextAttempt(failure({ errorClass: 'rejected' })).phase).toBe('quick');
    expect([408, 425, 429, 500, 503, 302, null].map(isRefusal)).toEqual(Array(7).fill(false));
  });
});

describe('the patient phase', () => {
  it('waits 1 to 5 minutes, with jitter, for ever', () => {
    fc.assert(
      fc.property(attempts, jitter, (attempt, random) => {
        const next = nextAttempt(failure({ attempt: quickAttempts - 1 + attempt, random }));
        expect(next.phase).toBe('patient');
        expect(next.delayMs).toBeGreaterThanOrEqual(60_000);
        expect(next.delayMs).toBeLessThanOrEqual(300_000);
      }),
    );
    const spread = [0, 0.25, 0.5, 0.75].map((random) => nextAttempt(failure({ attempt: 500, random })).delayMs);
    expect(spread).toEqual([200_000, 225_000, 250_000, 275_000]);
  });

  it('never shortens as failures go on, for the same jitter and class', () => {
    fc.assert(
      fc.property(anyFailure, attempts, jitter, (any, attempt, random) => {
        const at = (n: number) => nextAttempt({ ...any, retryAfterMs: null, random, attempt: n }).delayMs;
        expect(at(attempt + 1)).toBeGreaterThanOrEqual(at(attempt));
      }),
    );
  });

  it('begins at once where the whole call was refused, for a configuration has to be mended', () => {
    expect([400, 401, 403, 404, 409, 422].map(isRefusal)).toEqual(Array(6).fill(true));
    fc.assert(
      fc.property(attempts, jitter, (attempt, random) => {
        for (const refusal of [
          failure({ attempt, random, errorClass: 'unauthorized' }),
          failure({ attempt, random, errorClass: 'rejected', refused: true }),
        ]) {
          expect(nextAttempt(refusal).phase).toBe('patient');
          expect(nextAttempt(refusal).delayMs).toBeGreaterThanOrEqual(60_000);
        }
      }),
    );
  });
});

describe('a wait that the Auth Module asked for', () => {
  it('overrides the delay and not the phase, within 1 s and 15 min', () => {
    fc.assert(
      fc.property(anyFailure, fc.integer({ min: 1_000, max: 900_000 }), (any, retryAfterMs) => {
        expect(nextAttempt({ ...any, retryAfterMs })).toEqual({ phase: nextAttempt(any).phase, delayMs: retryAfterMs });
      }),
    );
  });

  it('is never zero, never negative, never endless', () => {
    expect([0, -5, 999, 900_001, Infinity, -Infinity].map(clampRetryAfterMs)).toEqual([
      1_000, 1_000, 1_000, 900_000, 900_000, 1_000,
    ]);
    expect([null, Number.NaN].map(clampRetryAfterMs)).toEqual([null, null]);
  });
});
