import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  applySessionEvent,
  type SessionEvent,
  type SessionRecord,
  sessionEventTypes,
} from '../../src/rules/session-event.ts';

const base = {
  organizationId: 'acme',
  userId: 'grace',
  sessionId: 's1',
  supportAccessGrantId: null,
  parentSession: null,
};
const orNull = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: null });
// few instants and few words, so that events meet and contradict
const instant = fc.integer({ min: 1, max: 6 });
const word = orNull(fc.constantFrom('a', 'b', 'c'));

const someEvent: fc.Arbitrary<SessionEvent> = fc.record({
  eventId: fc.uuid(),
  type: fc.constantFrom(...sessionEventTypes),
  occurredAt: instant,
  startedAt: instant,
  expiresAt: orNull(instant),
  chainId: fc.constantFrom('c1', 'c2'),
  ipAddress: word,
  userAgent: word,
  client: word,
  authenticationMethods: orNull(fc.subarray(['pwd', 'otp'])),
  ...Object.fromEntries(Object.entries(base).map(([key, value]) => [key, fc.constant(value)])),
} as never);

const fold = (events: readonly SessionEvent[]): SessionRecord | null =>
  events.reduce<SessionRecord | null>((record, event) => {
    const applied = applySessionEvent(record, event);
    return applied.outcome === 'invalid' ? record : applied.record;
  }, null);
const event = (fields: Partial<SessionEvent>): SessionEvent => ({
  ...base,
  eventId: 'e',
  type: 'session.started',
  occurredAt: 10,
  startedAt: 10,
  chainId: null,
  expiresAt: null,
  ipAddress: null,
  userAgent: null,
  client: null,
  authenticationMethods: null,
  ...fields,
});
const order = (record: SessionRecord | null) =>
  record && {
    ...record,
    toldAt: Object.fromEntries(Object.entries(record.toldAt).toSorted(([a], [b]) => a.localeCompare(b))),
  };

describe('the same events make the same session', () => {
  it('in whatever order and however often they come', () => {
    fc.assert(
      fc.property(
        fc
          .array(someEvent, { minLength: 1, maxLength: 6 })
          .chain((events) =>
            fc.tuple(
              fc.constant(events),
              fc.shuffledSubarray([...events, ...events], { minLength: events.length * 2 }),
            ),
          ),
        ([events, shuffled]) => {
          expect(order(fold(shuffled))).toEqual(order(fold(events)));
        },
      ),
      { numRuns: 2_000 },
    );
  });

  it('so that a repeat changes nothing and is `stale`', () => {
    fc.assert(
      fc.property(fc.array(someEvent, { minLength: 1, maxLength: 6 }), (events) => {
        const record = fold(events);
        for (const again of events) expect(applySessionEvent(record, again).outcome).toBe('stale');
      }),
    );
  });
});

describe('what a session is', () => {
  it('never loses its end, its earliest start, or its latest activity and expiry', () => {
    fc.assert(
      fc.property(fc.array(someEvent, { minLength: 1, maxLength: 8 }), (events) => {
        const record = fold(events);
        const ends = events.filter(({ type }) => type === 'session.ended').map(({ occurredAt }) => occurredAt);
        const active = events.filter(({ type }) => type !== 'session.ended').map(({ occurredAt }) => occurredAt);
        const expiries = events.flatMap(({ expiresAt }) => (expiresAt === null ? [] : [expiresAt]));
        expect(record).toMatchObject({
          startedAt: Math.min(...events.map(({ startedAt }) => startedAt)),
          lastSeenAt: Math.max(...events.map(({ startedAt }) => startedAt), ...active),
          expiresAt: expiries.length === 0 ? null : Math.max(...expiries),
          endedAt: ends.length === 0 ? null : Math.min(...ends),
          endReason: ends.length === 0 ? null : 'signed-out',
        });
      }),
    );
  });

  it('a late event that tells of an earlier place does not undo a later one, whatever was told in between', () => {
    const at = (occurredAt: number, ipAddress: string | null) =>
      event({ occurredAt, ipAddress, type: 'session.refreshed' });
    expect(fold([at(11, 'first'), at(13, null), at(12, 'second')])).toMatchObject({
      ipAddress: 'second',
      lastSeenAt: 13,
    });
  });
});

describe('a sign-out', () => {
  it.each(['terminated', 'support-access-ended', 'rejected'] as const)(
    'that is told after the session was %s, from before, moves nothing',
    (endReason) => {
      const started = fold([event({ occurredAt: 10 })]);
      if (started === null) throw new Error('a start makes a record');
      const over: SessionRecord = { ...started, endedAt: 20, endReason };
      const applied = applySessionEvent(over, event({ type: 'session.ended', occurredAt: 15 }));
      expect(applied).toMatchObject({ outcome: 'stale', record: { endedAt: 20, endReason } });
    },
  );
});

describe('is refused as `invalid`', () => {
  const known = fold([
    event({ supportAccessGrantId: 'g1', parentSession: { organizationId: 'vendor', sessionId: 'home' } }),
  ]);
  it.each([
    ['another user’s event', event({ userId: 'heidi' })],
    ['another grant’s event', event({ supportAccessGrantId: 'g2' })],
    ['another parent’s event', event({ parentSession: { organizationId: 'vendor', sessionId: 'elsewhere' } })],
    ['a chain’s start without the chain', event({ type: 'chain.started' })],
  ])('%s', (_, wrong) => expect(applySessionEvent(known, wrong)).toEqual({ outcome: 'invalid' }));
});
