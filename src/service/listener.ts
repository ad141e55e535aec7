import pg from 'pg';
import type { Connector } from '../database/connector.ts';
import { destroy } from '../silent-connections.ts';

export interface ListenerOptions {
  /** Undefined where no connection can listen, behind a pooler: who waits is then told to look for himself. */
  connector: Connector | undefined;
  channel: string;
  onNotify: (payload: string) => void;
  /** After each (re)connection: what was notified meanwhile is lost. */
  onConnect?: () => void;
  /** Before each new try while the connection is away, and at intervals where there is none. */
  onRetry?: () => void;
}

export interface Listener {
  close(): Promise<void>;
}

const RECONNECT_MS = 1_000;
const CONNECT_TIMEOUT_MS = 2_000;
/** A connection that only listens hears nothing of its own loss, nor that others are told elsewhere: it asks. */
const ASK_EVERY_MS = 5_000;
const ANSWER_WITHIN_MS = 2_000;
/** Nothing tells of changes: whoever waits for one looks this often. */
const POLL_MS = 250;

/** LISTENs on one channel and reconnects for ever, also where the network has forgotten the connection without a word. */
export function createListener({ connector, ...options }: ListenerOptions): Listener {
  return connector === undefined ? poll(options) : listen(connector, options);
}

function poll({ onRetry }: Omit<ListenerOptions, 'connector'>): Listener {
  const timer = setInterval(() => onRetry?.(), POLL_MS);
  return { close: () => Promise.resolve(clearInterval(timer)) };
}

function listen(connector: Connector, options: Omit<ListenerOptions, 'connector'>): Listener {
  const { channel, onNotify, onConnect, onRetry } = options;
  let closed = false;
  let client: pg.Client | undefined;
  let timer: NodeJS.Timeout | undefined;
  let asking: NodeJS.Timeout | undefined;
  const connect = async () => {
    const fresh = new connector.Client({
      application_name: `listen:${channel}`,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      query_timeout: ANSWER_WITHIN_MS,
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
      asking = setInterval(() => void requireWritable(fresh).catch(lost), ASK_EVERY_MS);
    } catch {
      lost();
    }
  };
  const retry = () => {
    if (closed || timer !== undefined) return;
    clearInterval(asking);
    timer = setTimeout(() => {
      timer = undefined;
      if (client !== undefined) destroy(client);
      onRetry?.();
      void connect();
    }, RECONNECT_MS);
  };
  void connect();
  return {
    async close() {
      closed = true;
      clearTimeout(timer);
      clearInterval(asking);
      await client?.end().catch(() => undefined);
    },
  };
}

/** After a failover an open connection may still lead to what was the primary, where nothing is told any more. */
async function requireWritable(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ read_only: boolean }>(
    `select current_setting('transaction_read_only') = 'on' as read_only`,
  );
  if (rows[0]?.read_only !== false) throw new Error('the server is read-only');
}
