import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Database, openDatabase } from '../../src/database.ts';
import { retentionStep } from '../../src/retention/retention.ts';
import { event, report } from '../harness/events.ts';
import { useStack } from '../harness/stack.ts';
import { listSessions } from '../harness/terminations.ts';

const stack = useStack({ worker: false });
const DAY = 86_400_000;
let database: Database;
beforeAll(async () => {
  database = await openDatabase({ url: stack.database.url, applicationName: 'retention-test', poolSize: 2 });
});
afterAll(() => database.close());

let moved = 0;
async function passDays(days: number): Promise<void> {
  moved += days * DAY;
  await stack.database.moveClock(days * DAY);
  await stack.database.query(
    "update retention_progress set organization_id = '', session_id = '', next_step_at = '-infinity'",
  );
  await retentionStep({ database, sessionRetentionDays: 90 });
}

type Step =
  { kind: 'pass'; days: number } | { kind: 'tell'; type: string; chainId: string | undefined; daysAgo: number };
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('pass' as const), days: fc.constantFrom(1, 60, 91, 200) }),
  fc.record({
    kind: fc.constant('tell' as const),
    type: fc.constantFrom('session.started', 'session.refreshed', 'chain.started', 'session.ended', 'session.ended'),
    chainId: fc.constantFrom('c1', 'c2', undefined),
    // late events tell of what happened long ago
    daysAgo: fc.constantFrom(0, 0, 0, 100),
  }),
);

it('a session that signed out is never active again, whatever is told of it, and however long after', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 2, maxLength: 8 }), async (steps) => {
      const organizationId = randomUUID();
      const own = { organizationId, userId: 'grace', sessionId: 's1' };
      let hasSignedOut = false;
      for (const each of steps) {
        if (each.kind === 'pass') await passDays(each.days);
        else {
          const occurredAt = new Date(Date.now() + moved - each.daysAgo * DAY).toISOString();
          const { type, chainId } = each;
          const [result] = await report(stack, [
            event(type, { ...own, occurredAt, ...(chainId && { chainId: `${organizationId}-${chainId}` }) }),
          ]);
          hasSignedOut ||= type === 'session.ended' && result?.outcome !== 'rejected';
        }
        if (hasSignedOut) expect(await listSessions(stack, organizationId, 'grace')).toEqual([]);
      }
    }),
    { numRuns: 40 },
  );
}, 60_000);
