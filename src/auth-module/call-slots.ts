import { randomUUID } from 'node:crypto';
import { createBell } from './bell.ts';
import { createFairQueue } from './fair-queue.ts';
import { createSlotLeases, type SlotAsk, type SlotGrant, type SlotOptions } from './slot-leases.ts';

export interface CallSlots {
  /**
   * Runs `work` while holding one of the slots that all worker processes share. Waits as long as it takes, fair between
   * organizations; rejects with the signal's reason when given up, and with the database's error when that is away.
   * `work` must end within the lease: a call has its own time-out.
   */
  withSlot<T>(organizationId: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T>;
}

interface Waiter extends SlotAsk {
  resolve(grant: SlotGrant): void;
  reject(error: unknown): void;
}

/** How often a process asks that was refused: it cannot see another process release. */
const pollMs = () => 5 + Math.random() * 10;
/** How soon it asks again when another process was quicker. */
const racedMs = 1;

/** One for each process. Where slots are free, acquire and release are one statement each; waiters share statements. */
export function createCallSlots(options: SlotOptions): CallSlots {
  const leases = createSlotLeases(options);
  const queue = createFairQueue<Waiter>();
  const bell = createBell();
  let isPumping = false;
  let isFull = false;

  /** One statement for everybody who waits; resolves with how long to sleep before the next, in milliseconds. */
  async function ask(waiters: readonly Waiter[]): Promise<number> {
    const { grants, free, raced } = await leases.lease(waiters);
    for (const grant of grants) {
      const waiter = waiters.find(({ holder }) => holder === grant.holder);
      if (waiter !== undefined && queue.remove(waiter.organizationId, waiter, true)) waiter.resolve(grant);
      else await leave(grant);
    }
    isFull = free === grants.length;
    return raced ? racedMs : pollMs();
  }

  async function pump(): Promise<void> {
    isPumping = true;
    while (queue.size > 0) {
      bell.hush();
      const waiters = queue.next(options.concurrency).map(({ waiter }) => waiter);
      try {
        const sleepMs = await ask(waiters);
        if (queue.size > 0) await bell.wait(sleepMs);
      } catch (error) {
        for (const waiter of waiters) if (queue.remove(waiter.organizationId, waiter, false)) waiter.reject(error);
      }
    }
    isPumping = false;
  }

  function enter(organizationId: string, signal?: AbortSignal): Promise<SlotGrant> {
    const { promise, resolve, reject } = Promise.withResolvers<SlotGrant>();
    const waiter: Waiter = { holder: randomUUID(), organizationId, resolve, reject };
    const giveUp = () => void (queue.remove(organizationId, waiter, false) && reject(signal?.reason));
    signal?.addEventListener('abort', giveUp);
    // A newcomer may be entitled at once; one more of an organization that already waits is not.
    if (!queue.has(organizationId)) bell.ring();
    queue.add(organizationId, waiter);
    if (!isPumping) void pump();
    return promise.finally(() => signal?.removeEventListener('abort', giveUp));
  }

  /** Never throws: what the work came to must not be lost for it, and the lease ends by itself. */
  async function leave(grant: SlotGrant): Promise<void> {
    await leases.release(grant).catch(() => undefined);
    // With every slot taken, all processes poll alike: who releases must not be who is always first to take again.
    if (!isFull) bell.ring();
  }

  return {
    async withSlot(organizationId, work, signal) {
      signal?.throwIfAborted();
      const grant = await enter(organizationId, signal);
      try {
        return await work();
      } finally {
        // not waited for: who has an answer must not wait for the books of the next caller
        void leave(grant);
      }
    },
  };
}
