import pg from 'pg';

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

export const terminationChanges = 'termination_changes';

/** While the connection is away every waiter is woken this often, and looks for itself. */
const RECONNECT_MS = 1_000;
const CONNECT_TIMEOUT_MS = 2_000;

export function createChangeFeed({ url, channel = terminationChanges }: { url: string; channel?: string }): ChangeFeed {
  const waiters = new Map<string, Set<() => void>>();
  const wakeAll = () => {
    for (const set of waiters.values()) for (const wake of set) wake();
  };
  const listener = createListener({
    url,
    channel,
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
        signal?.addEventListener('abort', () => done(), { once: true });
        await promise;
        clearTimeout(timer);
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

export interface ListenerOptions {
  url: string;
  channel: string;
  onNotify: (payload: string) => void;
  /** After each (re)connection: what was notified meanwhile is lost. */
  onConnect?: () => void;
  /** Before each new try while the connection is away. */
  onRetry?: () => void;
}

/** LISTENs on one channel and reconnects for ever. */
export function createListener({ url, channel, onNotify, onConnect, onRetry }: ListenerOptions): {
  close(): Promise<void>;
} {
  let closed = false;
  let client: pg.Client | undefined;
  let timer: NodeJS.Timeout | undefined;
  const connect = async () => {
    const fresh = new pg.Client({
      connectionString: url,
      application_name: `listen:${channel}`,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      keepAlive: true,
    });
    client = fresh;
    fresh.on('notification', (message) => onNotify(message.payload ?? ''));
    // a connection may fail more than once, and after its successor was made
    const lost = () => client === fresh && retry();
    fresh.on('error', lost).on('end', lost);
    try {
      await fresh.connect();
      await fresh.query(`listen ${pg.escapeIdentifier(channel)}`);
      onConnect?.();
    } catch {
      lost();
    }
  };
  const retry = () => {
    if (closed || timer !== undefined) return;
    timer = setTimeout(() => {
      timer = undefined;
      void client?.end().catch(() => undefined);
      onRetry?.();
      void connect();
    }, RECONNECT_MS);
  };
  void connect();
  return {
    async close() {
      closed = true;
      clearTimeout(timer);
      await client?.end().catch(() => undefined);
    },
  };
}
