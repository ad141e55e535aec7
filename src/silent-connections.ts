import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import type { Pool } from 'pg';
import type { Connector } from './database/connector.ts';
import type { RoutedClient } from './database/routed-client.ts';
import type { Route } from './database/routes.ts';
import { codeOf } from './error-code.ts';

export interface SilenceOptions {
  connector: Connector;
  /** The server is asked through a pooler: it is enough that this one answers, for its process ids are made up. */
  isPooled: boolean;
  /** The server's own limit (0: none); a statement that is silent beyond it is lost, whatever the server says. */
  statementTimeoutMs: number;
  /** How long the server may take to say anything at all, on a new connection. */
  connectTimeoutMs: number;
}

/** A statement without an answer for this long is asked after, and again after as long. */
const ASK_AFTER_MS = 400;
/** A timer that fires later than this tells of a busy process, not of a silent server. */
const LATE_MS = 250;
/** An answer may be on its way while the server already says that it has given it. */
const ON_ITS_WAY_MS = 100;

type Asked = 'idle' | 'at-work' | 'silent';

/**
 * Ends connections on which the server has fallen silent: a host that is gone or a network that forgot the connection
 * sends no word of it, and a client that waits for one waits for ever. A slow statement is not silence: the server is
 * asked on a connection of its own whether it is at work on it, and only where it does not answer, or says that it has
 * nothing to do, the statement fails as one whose connection was lost.
 */
export function endSilentConnections(pool: Pool, options: SilenceOptions): void {
  const life = { seenAt: 0 };
  const stateOf = createStateOf(options, life);
  const longestMs = options.statementTimeoutMs === 0 ? Infinity : options.statementTimeoutMs + ASK_AFTER_MS;
  // the pool makes its connections of the connector's class
  pool.on('connect', (connected) => {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- its type names only the library's
    const client = connected as unknown as RoutedClient & Connected;
    const query: (...given: never[]) => unknown = client.query.bind(client);
    const watched = (...given: never[]) => {
      const answer = query(...given);
      if (!(answer instanceof Promise)) return answer;
      const ask = () => stateOf(client);
      const stop = watch(ask, longestMs, () => destroy(client));
      const answered = () => {
        life.seenAt = performance.now();
        stop();
      };
      answer.then(answered, stop);
      return answer;
    };
    Object.assign(client, { query: watched });
  });
}

/** Asks at intervals until it is stopped; ends what is lost. */
function watch(ask: () => Promise<Asked>, longestMs: number, end: () => void): () => void {
  const startedAt = performance.now();
  let stopped = false;
  let timer: NodeJS.Timeout;
  const look = async (dueAt: number) => {
    if (performance.now() - dueAt <= LATE_MS) {
      const asked = performance.now() - startedAt > longestMs ? 'silent' : await ask();
      if (asked === 'idle' && !stopped) await sleep(ON_ITS_WAY_MS);
      if (asked !== 'at-work' && !stopped) return end();
    }
    if (!stopped) lookLater();
  };
  const lookLater = () => {
    const dueAt = performance.now() + ASK_AFTER_MS;
    timer = setTimeout(() => void look(dueAt), ASK_AFTER_MS);
  };
  lookLater();
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}

/** Asks about all connections at once, however many wait: one probe at a time for a server. */
function createStateOf(
  options: SilenceOptions,
  life: { readonly seenAt: number },
): (client: RoutedClient & Connected) => Promise<Asked> {
  const probing = new Map<Route, Promise<ReadonlySet<number> | undefined>>();
  const probe = (route: Route) => {
    const started = probing.get(route) ?? idleBackends(options, route).finally(() => probing.delete(route));
    probing.set(route, started);
    return started;
  };
  return async ({ route, processID }) => {
    const askedAt = performance.now();
    const idle = await probe(route);
    // a server that answered somebody meanwhile is only slow
    if (idle === undefined) return life.seenAt > askedAt ? 'at-work' : 'silent';
    return idle.has(processID ?? 0) ? 'idle' : 'at-work';
  };
}

/** The process ids of the server's backends that wait for a statement; undefined where the server does not answer. */
async function idleBackends(options: SilenceOptions, route: Route): Promise<ReadonlySet<number> | undefined> {
  const { connector, isPooled, connectTimeoutMs } = options;
  const client: pg.Client & Connected = new connector.Client({ route, application_name: 'session-management-probe' });
  const dueAt = performance.now() + connectTimeoutMs;
  const timer = setTimeout(() => destroy(client), connectTimeoutMs);
  try {
    await client.connect();
    if (isPooled) return new Set();
    const { rows } = await client.query<{ pid: number }>(
      `select pid from pg_stat_activity where datname = current_database() and state like 'idle%'`,
    );
    return new Set(rows.map(({ pid }) => pid));
  } catch (error) {
    // a server that has no connection left for us is alive; a process that was too busy to ask knows nothing
    const isFull = codeOf(error).startsWith('53');
    return isFull || performance.now() - dueAt > LATE_MS ? new Set() : undefined;
  } finally {
    clearTimeout(timer);
    destroy(client);
  }
}

/** A client with what its type does not name. */
type Connected = pg.ClientBase & { processID?: number | null; connection?: { stream: { destroy(): void } } };

/** Closes a connection without a word to the server, which might not be there to read it. */
export const destroy = ({ connection }: Connected) => connection?.stream.destroy();
