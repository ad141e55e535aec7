import fc from 'fast-check';
import { expect, it } from 'vitest';
import { tokens } from '../harness/client.ts';
import { useStack } from '../harness/stack.ts';
import { MovedClockWorld, step } from './model/moved-clock-world.ts';

// nobody works on what is decided: the law alone says who is over
const stack = useStack({ worker: false });

it('wherever the database’s clock is set between sign-ins and decisions: all that is recorded ends, and who signs in afterwards stays', async () => {
  await tokens(stack.issuer).machine('sessions:ingest');
  let steps = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 14 }), async (list) => {
      const world = new MovedClockWorld(stack);
      await stack.database.query('update test_clock set offset_ms = 0');
      for (const each of list) {
        await world.run(each);
        await world.check();
        steps += 1;
      }
    }),
    { numRuns: Number(process.env['MOVED_CLOCK_RUNS'] ?? 60), interruptAfterTimeLimit: 25_000, endOnFailure: false },
  );
  expect(steps).toBeGreaterThan(50);
}, 60_000);
