import pg from 'pg';
import { destroy } from '../silent-connections.ts';

export interface ListenerOptions {
  url: string;
  channel: string;
  onNotify: (payload: string) => void;
  /** After each (re)connection: what was notified meanwhile is lost. */
  onConnect?: () => void;
  /** Before each new try while the connection is away. */
  onRetry?: () => void;
}

const RECONNECT_MS = 1_000;
const CONNECT_TIMEOUT_MS = 2_000;
/** A connection that only listens hears nothing of its own loss: it asks. */
const ASK_EVERY_MS = 5_000;
const ANSWER_WITHIN_MS = 2_000;

/** LISTENs on one channel and reconnects for ever, also where the network has forgotten the connection without a word. */
export function createListener({ url, channel, onNotify, onConnect, onRetry }: ListenerOptions): {
  close(): Promise<void>;
} {
  let closed = false;
  let client: pg.Client | undefined;
  let timer: NodeJS.Timeout | undefined;
  let asking: NodeJS.Timeout | undefined;
  const connect = async () => {
    const fresh = new pg.Client({
      connectionString: url,
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
      asking = setInterval(() => void fresh.query('select').catch(lost), ASK_EVERY_MS);
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
