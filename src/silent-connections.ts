import { setTimeout as sleep } from 'node:timers/promises';
import pg, { type Pool, type PoolClient } from 'pg';

export interface SilenceOptions {
  url: string;
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
  pool.on('connect', (client: PoolClient & Connected) => {
    const query: (...given: never[]) => unknown = client.query.bind(client);
    const watched = (...given: never[]) => {
      const answer = query(...given);
      if (!(answer instanceof Promise)) return answer;
      const ask = () => stateOf(client.processID ?? 0);
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

/** Asks about all connections at once, however many wait: one probe at a time for a pool. */
function createStateOf(
  options: SilenceOptions,
  life: { readonly seenAt: number },
): (processId: number) => Promise<Asked> {
  let probing: Promise<ReadonlySet<number> | undefined> | undefined;
  return async (processId) => {
    const askedAt = performance.now();
    probing ??= idleBackends(options).finally(() => (probing = undefined));
    const idle = await probing;
    // a server that answered somebody meanwhile is only slow
    if (idle === undefined) return life.seenAt > askedAt ? 'at-work' : 'silent';
    return idle.has(processId) ? 'idle' : 'at-work';
  };
}

/** The process ids of the server's backends that wait for a statement; undefined where the server does not answer. */
async function idleBackends({ url, connectTimeoutMs }: SilenceOptions): Promise<ReadonlySet<number> | undefined> {
  const client: Connected = new pg.Client({ connectionString: url, application_name: 'session-management-probe' });
  client.on('error', () => undefined);
  const dueAt = performance.now() + connectTimeoutMs;
  const timer = setTimeout(() => destroy(client), connectTimeoutMs);
  try {
    await client.connect();
    const { rows } = await client.query<{ pid: number }>(
      `select pid from pg_stat_activity where datname = current_database() and state like 'idle%'`,
    );
    return new Set(rows.map(({ pid }) => pid));
  } catch (error) {
    // a server that has no connection left for us is alive; a process that was too busy to ask knows nothing
    const isFull = error instanceof pg.DatabaseError && error.code?.startsWith('53') === true;
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
