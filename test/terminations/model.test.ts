import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { tokens } from '../harness/client.ts';
import { useStack } from '../harness/stack.ts';
import { check } from './model/check.ts';
import { useCrashingService } from './model/crashing-service.ts';
import { crashes, steps, stepsAndCrashes } from './model/steps.ts';
import { type Service, World } from './model/world.ts';

const CRASHING_RUNS = Number(process.env['CRASHING_RUNS'] ?? 1);

const live = async (world: World, list: { run(world: World): Promise<void> }[]) => {
  for (const each of list) await each.run(world);
};

describe('whatever happens in whatever order', () => {
  const stack = useStack();
  const service: Service = { stack, ask: (question) => question(), crash: () => undefined };

  it('what was ended at or before a cutoff is dead, and nothing else is harmed', async () => {
    let run = 0;
    await tokens(stack.issuer).machine('sessions:ingest');
    await fc.assert(
      fc.asyncProperty(steps, async (list) => {
        const world = new World(service, `world-${(run += 1)}`);
        try {
          await live(world, list);
          await check(world);
        } finally {
          world.mendAuthModule();
        }
      }),
      { numRuns: 60, interruptAfterTimeLimit: 25_000, endOnFailure: false },
    );
    expect(run).toBeGreaterThan(10);
  }, 110_000);
});

describe('whatever happens in whatever order, and whichever process is killed meanwhile', () => {
  const service = useCrashingService(useStack({ worker: false }));
  // side by side, for a process that is killed takes what all of them have begun, and the engine's patience with a dead
  // worker, a quarter of a minute, is waited for once
  const worlds = fc
    .tuple(stepsAndCrashes, crashes, stepsAndCrashes, fc.array(stepsAndCrashes, { minLength: 7, maxLength: 7 }))
    .map(([before, both, after, others]) => [[...before, ...both, ...after], ...others]);

  it(
    'what was ended at or before a cutoff is dead, and nothing else is harmed',
    async () => {
      let run = 0;
      // so that there is always something in flight
      service.stack.authModule.inject({ kind: 'slow', latencyMs: 50 });
      await fc.assert(
        fc.asyncProperty(worlds, async (lists) => {
          run += 1;
          const all = lists.map((list, n) => ({ list, world: new World(service, `crashing-${run}-${n}`) }));
          await Promise.all(all.map(({ world, list }) => live(world, list)));
          await service.untilUp();
          await Promise.all(all.map(({ world }) => check(world)));
        }),
        { numRuns: CRASHING_RUNS, endOnFailure: true },
      );
      expect(Math.min(service.crashes.api, service.crashes.worker)).toBeGreaterThan(0);
    },
    60_000 + CRASHING_RUNS * 90_000,
  );
});
