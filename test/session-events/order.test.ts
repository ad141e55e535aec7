import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { event, report } from '../harness/events.ts';
import { useStack } from '../harness/stack.ts';
import { listSessions } from '../harness/terminations.ts';

const stack = useStack({ worker: false });
const at = (seconds: number) => new Date(Date.parse('2026-11-24T00:00:00Z') + seconds * 1_000).toISOString();
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });

const sketch = fc.record({
  type: fc.constantFrom('session.started', 'session.refreshed', 'chain.started', 'session.refreshed', 'session.ended'),
  occurredAt: fc.integer({ min: 1, max: 5 }).map(at),
  startedAt: fc.constantFrom(at(0), at(1)),
  chainId: fc.constantFrom('c1', 'c2', 'c3'),
  expiresAt: maybe(fc.constantFrom('2190-01-01T00:00:00.000Z', '2191-01-01T00:00:00.000Z')),
  ipAddress: maybe(fc.constantFrom('192.0.2.1', '192.0.2.2')),
  userAgent: maybe(fc.constantFrom('one', 'two')),
  client: maybe(fc.constantFrom('web', 'app')),
  authenticationMethods: maybe(fc.constantFrom(['pwd'], ['pwd', 'otp'])),
});

/** The session as the list and the table have it, told in this order, in batches of these sizes. */
async function tell(events: readonly object[], sizes: readonly number[]): Promise<object> {
  const organizationId = randomUUID();
  const own = { organizationId, userId: 'grace', sessionId: 's1' };
  const left = events.map((each) => ({ ...each, ...own }));
  for (let n = 0; left.length > 0; n++) await report(stack, left.splice(0, sizes[n % sizes.length] ?? 1));
  const list = await listSessions(stack, organizationId, 'grace', 'all');
  const rows = await stack.database.query('select * from sessions where organization_id = $1', [organizationId]);
  const chains = await stack.database.query(
    'select id, session_id, outcome from refresh_token_chains where organization_id = $1 order by id',
    [organizationId],
  );
  // when it was recorded, in which place and with which start, is the only thing that may differ
  return {
    list: list.map((each) => ({ ...each, organizationId: '' })),
    rows: rows.map((each) => ({
      ...each,
      organization_id: '',
      recorded_at: '',
      recorded_order: '',
      first_started_at: '',
    })),
    chains,
  };
}

it('any order of a session’s events, with any repeats, in any batches, gives the same session', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(sketch, { minLength: 1, maxLength: 6 }).chain((sketches) => {
        const events = sketches.map(({ type, ...rest }) =>
          event(type, { organizationId: '', userId: '', sessionId: '', ...JSON.parse(JSON.stringify(rest)) }),
        );
        return fc.record({
          events: fc.constant(events),
          shuffled: fc.shuffledSubarray([...events, ...events], { minLength: events.length * 2 }),
        });
      }),
      fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 3 }),
      async ({ events, shuffled }, sizes) => {
        expect(await tell(shuffled, sizes)).toEqual(await tell(events, [1_000]));
      },
    ),
    { numRuns: 60, interruptAfterTimeLimit: 30_000 },
  );
});
