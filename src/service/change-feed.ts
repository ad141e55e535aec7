import { createListener, type ListenerOptions } from './listener.ts';

/** Wakes the waiters of one termination; disposed when the waiting is over. */
export interface Subscription extends Disposable {
  /** Resolves after the next change, after `timeoutMs`, or when the signal aborts, whichever comes first. A change since the last call counts. */
  next(timeoutMs: number, signal?: AbortSignal): Promise<void>;
}

/** One LISTEN connection for every waiter of this process: no waiter polls the database. */
export interface ChangeFeed {
  subscribe(id: string): Subscription;
  close(): Promise<void>;
}

export function createChangeFeed({ connector }: Pick<ListenerOptions, 'connector'>): ChangeFeed {
  const waiters = new Map<string, Set<() => void>>();
  const wakeAll = () => {
    for (const set of waiters.values()) for (const wake of set) wake();
  };
  const listener = createListener({
    connector,
    channel: 'termination_changes',
    onNotify: (id) => {
      for (const wake of waiters.get(id) ?? []) wake();
    },
    onConnect: wakeAll,
    onRetry: wakeAll,
  });
  return {
    subscribe: (id) => subscribe(waiters, id),
    close: () => listener.close(),
  };
}

function subscribe(waiters: Map<string, Set<() => void>>, id: string): Subscription {
  let changed = false;
  let resolve: (() => void) | undefined;
  const wake = () => {
    changed = true;
    resolve?.();
  };
  const set = waiters.get(id) ?? new Set();
  waiters.set(id, set.add(wake));
  return {
    async next(timeoutMs, signal) {
      if (!changed && signal?.aborted !== true) {
        const { promise, resolve: done } = Promise.withResolvers<void>();
        resolve = done;
        const timer = setTimeout(done, timeoutMs);
        const abort = () => done();
        signal?.addEventListener('abort', abort, { once: true });
        await promise;
        clearTimeout(timer);
        // the signal of a process lives longer than any waiter
        signal?.removeEventListener('abort', abort);
        resolve = undefined;
      }
      changed = false;
    },
    [Symbol.dispose]() {
      set.delete(wake);
      if (set.size === 0 && waiters.get(id) === set) waiters.delete(id);
    },
  };
}
