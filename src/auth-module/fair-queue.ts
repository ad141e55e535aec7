/** Waiters of one process, by organization. `next` takes organizations in turn, whatever each one's length. */
export interface FairQueue<W> {
  readonly size: number;
  has(organizationId: string): boolean;
  add(organizationId: string, waiter: W): void;
  /** Whether it was still waiting. The organization moves behind the others when `served`. */
  remove(organizationId: string, waiter: W, served: boolean): boolean;
  /** Up to `limit` waiters, still queued: the first of each organization, then the second of each, and so on. */
  next(limit: number): { organizationId: string; waiter: W }[];
}

export function createFairQueue<W>(): FairQueue<W> {
  // Insertion order of a Map is the order of turns; of a Set, the order of arrival.
  const queues = new Map<string, Set<W>>();
  let size = 0;
  return {
    get size() {
      return size;
    },
    has: (organizationId) => queues.has(organizationId),
    add(organizationId, waiter) {
      const queue = queues.get(organizationId) ?? new Set();
      queues.set(organizationId, queue.add(waiter));
      size += 1;
    },
    remove(organizationId, waiter, served) {
      const queue = queues.get(organizationId);
      if (queue?.delete(waiter) !== true) return false;
      size -= 1;
      if (served || queue.size === 0) queues.delete(organizationId);
      if (queue.size > 0) queues.set(organizationId, queue);
      return true;
    },
    next: (limit) => inTurns(queues, limit),
  };
}

function inTurns<W>(queues: Map<string, Set<W>>, limit: number): { organizationId: string; waiter: W }[] {
  const taken: { organizationId: string; waiter: W }[] = [];
  let turns = [...queues].map(([organizationId, queue]) => ({ organizationId, waiters: queue.values() }));
  while (turns.length > 0 && taken.length < limit) {
    turns = turns.filter(({ organizationId, waiters }) => {
      const { done, value } = waiters.next();
      if (done !== true && taken.length < limit) taken.push({ organizationId, waiter: value });
      return done !== true;
    });
  }
  return taken;
}
