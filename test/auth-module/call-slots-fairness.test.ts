import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, vi } from 'vitest';
import { createCalls, finishAll, useSlotDatabase } from './slot-database.ts';

const { startProcess } = useSlotDatabase();
/** Longer than several polls: what could be served has been. */
const settle = () => sleep(120);

describe('fairness between organizations', () => {
  it('an organization with thousands of calls leaves room, and a newcomer in another process is served at once', async () => {
    const calls = createCalls();
    const [big, small] = [await startProcess(), await startProcess()];
    const flood = Array.from({ length: 30 }, () => calls.begin(big, 'big'));
    await vi.waitFor(() => expect(calls.inFlight('big')).toBe(6));
    await settle();
    expect(calls.inFlight('big')).toBe(6);
    // No call of the flood ends before this one has been served.
    await small.withSlot('small', () => Promise.resolve());
    expect(calls.inFlight('big')).toBe(6);
    await finishAll(calls, 30);
    await Promise.all(flood);
  });

  it('who holds more than their share gives way as their calls end, until shares are equal', async () => {
    const calls = createCalls();
    const [one, other] = [await startProcess(), await startProcess()];
    const first = Array.from({ length: 20 }, () => calls.begin(one, 'first'));
    await vi.waitFor(() => expect(calls.inFlight('first')).toBe(6));
    const second = Array.from({ length: 20 }, () => calls.begin(other, 'second'));
    await vi.waitFor(() => expect(calls.inFlight('second')).toBe(1));
    for (let i = 0; i < 6; i += 1) {
      calls.finish('first', 1);
      await sleep(60);
    }
    await vi.waitFor(() => {
      expect(calls.inFlight('first')).toBeLessThanOrEqual(4);
      expect(calls.inFlight('second')).toBeGreaterThanOrEqual(2);
    });
    await finishAll(calls, 40);
    await Promise.all([...first, ...second]);
  });

  it('with more organizations than slots, over several processes, none starves behind a longer queue', async () => {
    const processes = await Promise.all([1, 2, 3].map(() => startProcess({ concurrency: 4 })));
    const served = new Map<string, number>();
    const stop = new AbortController();
    const hungry = Array.from({ length: 9 }, (_, i) => `org-${i}`).flatMap((organizationId, i) =>
      // The first organization has twenty times as many callers as each of the others.
      Array.from({ length: i === 0 ? 20 : 1 }, async () => {
        while (!stop.signal.aborted) {
          await processes[i % 3]?.withSlot(organizationId, () => sleep(5));
          served.set(organizationId, (served.get(organizationId) ?? 0) + 1);
        }
      }),
    );
    const total = () => [...served.values()].reduce((sum, count) => sum + count, 0);
    await vi.waitFor(() => expect(total()).toBeGreaterThan(400), { timeout: 60_000 });
    stop.abort();
    await Promise.all(hungry);
    const others = [...served].flatMap(([organizationId, count]) => (organizationId === 'org-0' ? [] : [count]));
    expect(others).toHaveLength(8);
    expect(Math.min(...others)).toBeGreaterThanOrEqual(4);
    expect(served.get('org-0')).toBeLessThan(5 * Math.max(...others));
  });
});
