import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { parseSessionEvent } from '../../src/service/session-events/parse-session-event.ts';
import { report, started } from '../harness/events.ts';
import { useStack } from '../harness/stack.ts';
import { listSessions } from '../harness/terminations.ts';

const stack = useStack({ worker: false });
const own = { organizationId: 'acme', userId: 'grace' };

// UTF-16 units one by one, so that pairs are torn, and NUL
const unit = fc.oneof(
  fc.constantFrom('\0', '\ud83d', '\ude00', '\u{1f600}', 'a', '\uffff'),
  fc.integer({ min: 0, max: 0xff_ff }).map((code) => String.fromCodePoint(code)),
);
const text = fc.oneof(
  fc.array(unit, { maxLength: 40 }).map((units) => units.join('')),
  fc.tuple(unit, fc.integer({ min: 200, max: 2_000 })).map(([one, times]) => `x${one.repeat(times)}`),
);
const anything = fc.oneof(
  { weight: 3, arbitrary: text },
  fc.jsonValue(),
  fc.array(fc.oneof(text, fc.jsonValue()), { maxLength: 60 }),
);
const descriptions = fc.record(
  {
    userName: anything,
    ipAddress: anything,
    userAgent: anything,
    client: anything,
    authenticationMethods: anything,
  },
  { requiredKeys: [] },
);

/** What PostgreSQL can store, within the bound. */
const isClean = (told: unknown, max: number): boolean =>
  told === null || (typeof told === 'string' && told.length <= max && !/[\0\p{Cs}]/u.test(told));

it('no descriptive value makes an event malformed, and what is kept of it is clean and bounded', () => {
  fc.assert(
    fc.property(descriptions, (told) => {
      const event = parseSessionEvent({ ...started({ ...own, sessionId: 's1' }), ...told }, 0);
      expect(event).not.toBeNull();
      expect(isClean(event?.userAgent, 1_024)).toBe(true);
      expect(isClean(event?.ipAddress, 255) && isClean(event?.client, 255)).toBe(true);
      const methods = event?.authenticationMethods ?? [];
      expect(methods.length).toBeLessThanOrEqual(32);
      expect(methods.every((method) => isClean(method, 255))).toBe(true);
    }),
    { numRuns: 1_000 },
  );
});

it('no descriptive value refuses a sign-in, nor keeps its session from the list', async () => {
  let n = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(descriptions, { minLength: 1, maxLength: 20 }), async (batch) => {
      n += 1;
      const userId = `user-${n}`;
      const events = batch.map((told, i) => ({ ...started({ ...own, userId, sessionId: `s-${n}-${i}` }), ...told }));
      const results = await report(stack, events);
      expect(results.map(({ outcome }) => outcome)).toEqual(batch.map(() => 'accepted'));
      expect(await listSessions(stack, 'acme', userId)).toHaveLength(batch.length);
    }),
    { numRuns: 25 },
  );
});

it.each([
  { told: 'a\0b', kept: 'a\ufffdb' },
  { told: 'a\ud800b', kept: 'a\ufffdb' },
  { told: 'a'.repeat(20_000), kept: 'a'.repeat(1_024) },
  { told: 'a'.repeat(1_023) + '\u{1f600}', kept: 'a'.repeat(1_023) },
  { told: 'a'.repeat(1_022) + '\u{1f600}', kept: 'a'.repeat(1_022) + '\u{1f600}' },
  { told: 7, kept: null },
])('a user agent is kept as far as it can be ($#)', async ({ told, kept }) => {
  const [userId, sessionId] = [randomUUID(), randomUUID()];
  const [result] = await report(stack, [{ ...started({ ...own, userId, sessionId }), userAgent: told }]);
  expect(result).toMatchObject({ outcome: 'accepted' });
  expect((await listSessions(stack, 'acme', userId))[0]).toMatchObject({ id: sessionId, userAgent: kept });
});

it('what decides stays strict', async () => {
  const event = started({ ...own, userId: 'strict', sessionId: 's1' });
  const results = await report(stack, [
    { ...event, userId: 'a\0b' },
    { ...event, startedAt: 7 },
    { ...event, organizationId: '\ud800' },
    { ...event, supportAccessGrantId: 'x' },
    { ...event, unknown: 'field' },
  ]);
  expect(results.map(({ reason }) => reason)).toEqual(Array.from({ length: 5 }, () => 'invalid'));
});
