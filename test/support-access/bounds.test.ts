import fc from 'fast-check';
import { expect, it } from 'vitest';
import { changeBounds, createBounds, grantLongestLifeDays, isWithin } from '../../src/rules/support-access-grant.ts';

const nowMs = fc.integer({ min: Date.parse('2000-01-01'), max: Date.parse('2100-01-01') });
const seconds = fc.integer({ min: 1, max: 7_776_000 });
const limits = fc.tuple(seconds, seconds).map(([a, b]) => ({ minSeconds: Math.min(a, b), maxSeconds: Math.max(a, b) }));
const iso = (ms: number) => new Date(ms).toISOString();

it('a new grant may end from min to max after now, both included, and not a millisecond beside', () => {
  fc.assert(
    fc.property(nowMs, limits, (now, given) => {
      const bounds = createBounds(now, given);
      const [min, max] = [now + given.minSeconds * 1_000, now + given.maxSeconds * 1_000];
      expect([min - 1, min, max, max + 1].map((at) => isWithin(iso(at), bounds))).toEqual([false, true, true, false]);
    }),
  );
});

it('however often it is moved, a grant ends in the future and within 90 days of its creation', () => {
  fc.assert(
    fc.property(nowMs, fc.integer({ min: 0, max: 100 * 86_400_000 }), limits, nowMs, (created, age, given, asked) => {
      const now = created + age;
      if (!isWithin(iso(asked), changeBounds(now, created, given))) return;
      expect(asked).toBeGreaterThan(now);
      expect(asked).toBeLessThanOrEqual(
        Math.min(now + given.maxSeconds * 1_000, created + grantLongestLifeDays * 86_400_000),
      );
    }),
  );
});
