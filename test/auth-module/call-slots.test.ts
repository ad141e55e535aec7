import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, vi } from 'vitest';
import { createCallSlots } from '../../src/auth-module/call-slots.ts';
import { openDatabase } from '../../src/database.ts';
import { createCalls, finishAll, useSlotDatabase } from './slot-database.ts';

const { startProcess, query } = useSlotDatabase();
const leased = () =>
  query<{ organization_id: string }>(
    'select organization_id from auth_module_slots where leased_until > clock_timestamp()',
  );
/** A slot is given back after the call has its answer: who has that does not wait for it. */
const expectLeased = (...organizationIds: string[]) =>
  vi.waitFor(async () =>
    expect(await leased()).toEqual(organizationIds.map((organization_id) => ({ organization_id }))),
  );
/** Longer than several polls: what could be served has been. */
const settle = () => sleep(120);

describe('the limit', () => {
  it('holds over all processes, however many ask at once, and every call comes to its turn', async () => {
    const processes = await Promise.all(Array.from({ length: 4 }, () => startProcess({ concurrency: 6 })));
    let inFlight = 0;
    let peak = 0;
    const done = processes.flatMap((slots, p) =>
      Array.from({ length: 40 }, (_, i) =>
        slots.withSlot(`org-${(p + i) % 5}`, async () => {
          peak = Math.max(peak, ++inFlight);
          await sleep(3);
          inFlight -= 1;
        }),
      ),
    );
    await Promise.all(done);
    expect(peak).toBeLessThanOrEqual(6);
    expect(peak).toBeGreaterThanOrEqual(3);
    await expectLeased();
  });

  it('of one still lets everybody through, in turn', async () => {
    const [a, b] = [await startProcess({ concurrency: 1 }), await startProcess({ concurrency: 1 })];
    const order: string[] = [];
    await Promise.all(
      [a, b, a, b].map((slots, i) => slots.withSlot(`org-${i % 3}`, () => Promise.resolve(order.push(`call-${i}`)))),
    );
    expect(order.toSorted()).toEqual(['call-0', 'call-1', 'call-2', 'call-3']);
  });

  it('that shrinks leaves the higher slots alone; rows that vanish are made again', async () => {
    const calls = createCalls();
    const wide = await startProcess({ concurrency: 8 });
    await wide.withSlot('org-1', () => Promise.resolve());
    const narrow = await startProcess({ concurrency: 2 });
    const pending = ['x', 'y', 'z'].map((organizationId) => calls.begin(narrow, organizationId));
    await vi.waitFor(() => expect(calls.inFlight()).toBe(2));
    await settle();
    expect(calls.inFlight()).toBe(2);
    await finishAll(calls, 3);
    await Promise.all(pending);
    await query('delete from auth_module_slots');
    await narrow.withSlot('org-1', () => Promise.resolve());
    expect(await query('select slot from auth_module_slots order by 1')).toEqual([{ slot: 0 }, { slot: 1 }]);
  });
});

describe('a slot comes free', () => {
  it('when the work fails, and the failure is passed on', async () => {
    const slots = await startProcess({ concurrency: 1 });
    await expect(slots.withSlot('org-1', () => Promise.reject(new Error('unreachable')))).rejects.toThrow(
      'unreachable',
    );
    await expectLeased();
  });

  it('when the lease of a killed process is over, and not before', async () => {
    const slots = await startProcess({ concurrency: 1 });
    await slots.withSlot('org-1', () => Promise.resolve());
    await query(
      `update auth_module_slots set organization_id = 'dead', holder = gen_random_uuid(), leased_until = clock_timestamp() + interval '300 ms'`,
    );
    const startedAt = performance.now();
    await slots.withSlot('org-1', () => Promise.resolve());
    expect(performance.now() - startedAt).toBeGreaterThan(200);
  });

  it('when the clock was set back since a killed process took it', async () => {
    const slots = await startProcess({ concurrency: 1 });
    await slots.withSlot('org-1', () => Promise.resolve());
    await query(
      `update auth_module_slots set organization_id = 'dead', holder = gen_random_uuid(), leased_until = clock_timestamp() + interval '10 minutes'`,
    );
    await slots.withSlot('org-1', () => Promise.resolve());
  });

  it('only by its own holder: a call that outlives its lease does not free its successor', async () => {
    const calls = createCalls();
    const [slow, next] = [await startProcess({ concurrency: 1, leaseMs: 50 }), await startProcess({ concurrency: 1 })];
    const outlived = calls.begin(slow, 'slow');
    await vi.waitFor(() => expect(calls.inFlight('slow')).toBe(1));
    const successor = calls.begin(next, 'next');
    await vi.waitFor(() => expect(calls.inFlight('next')).toBe(1));
    calls.finish('slow');
    await outlived;
    await settle();
    await expectLeased('next');
    calls.finish('next');
    await successor;
  });

  it('not for who has given up waiting, and the others are not held up by it', async () => {
    const calls = createCalls();
    const slots = await startProcess({ concurrency: 1 });
    const holding = calls.begin(slots, 'holder');
    await vi.waitFor(() => expect(calls.inFlight('holder')).toBe(1));
    const giveUp = new AbortController();
    const given = calls.begin(slots, 'impatient', giveUp.signal);
    const patient = slots.withSlot('patient', () => Promise.resolve('served'));
    giveUp.abort(new Error('shutting down'));
    await expect(given).rejects.toThrow('shutting down');
    calls.finish('holder');
    await holding;
    expect(await patient).toBe('served');
    await expectLeased();
    await expect(calls.begin(slots, 'late', giveUp.signal)).rejects.toThrow('shutting down');
  });
});

it('with the database away a call is refused with its error, and nothing hangs', async () => {
  const database = await openDatabase({ url: 'postgres://nobody@127.0.0.1:1/none', applicationName: 'slots-test' });
  const slots = createCallSlots({ database, concurrency: 2, leaseMs: 1_000 });
  const work = vi.fn<() => Promise<void>>();
  await expect(slots.withSlot('org-1', work)).rejects.toThrow(/ECONNREFUSED|connect/);
  expect(work).not.toHaveBeenCalled();
  await database.close();
});
