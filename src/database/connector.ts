import { callbackify } from 'node:util';
import type pg from 'pg';
import { type ConnectionSettings, connectionWarning, readConnection } from './connection-settings.ts';
import { type ClientClass, ConnectionFailed, createClientClass, type RoutedClient } from './routed-client.ts';
import { createRoutes, type Routes } from './routes.ts';
import { createWritableWatch, type WritableWatch } from './writable.ts';

export interface ConnectorOptions {
  url: string;
  /** Where libpq's variables are read. Default: the process's own. */
  environment?: NodeJS.ProcessEnv | undefined;
  /** Hears of each statement and connection that failed. */
  onError?: ((error: unknown) => void) | undefined;
}

/** The one way to a database: pools and single connections alike come from here, so that a setting reaches all of them. */
export interface Connector {
  settings: ConnectionSettings;
  /** For one line in the log. */
  warning: string | undefined;
  /** For a pool, whose clients it makes. */
  Client: ClientClass;
  /** To be called once with each pool of such clients: lets it try the other ways to the database too. */
  adopt(pool: pg.Pool): void;
  /** A single connection, made. */
  connect(config?: pg.ClientConfig): Promise<RoutedClient>;
}

/** Throws where the address or libpq's variables say what is not understood; connects to nothing. */
export function createConnector({ url, environment = process.env, onError }: ConnectorOptions): Connector {
  const { settings, problems } = readConnection(url, environment);
  if (settings === undefined) throw new Error(problems.map((problem) => `DATABASE_URL: ${problem}`).join('\n'));
  const routes = createRoutes(settings);
  const writable = createWritableWatch(routes.startOver);
  const Client = createClientClass({
    settings,
    routes,
    onConnect: writable.connected,
    onError(error) {
      writable.failed(error);
      onError?.(error);
    },
  });
  return {
    settings,
    warning: connectionWarning(settings),
    Client,
    adopt: (pool) => adopt(pool, routes, writable),
    connect: (config) =>
      onEveryWay(routes, async () => {
        const client = new Client(config);
        await client.connect();
        return client;
      }),
  };
}

/** Tries until one way succeeds or none is left. */
async function onEveryWay<T>(routes: Routes, connect: () => Promise<T>): Promise<T> {
  for (let triesLeft = routes.count - 1; ; triesLeft -= 1) {
    try {
      return await connect();
    } catch (error) {
      if (triesLeft <= 0 || failedConnection(error)?.hasAlternative !== true) throw error;
    }
  }
}

/** A pool wraps what its time-out has caused. */
function failedConnection(error: unknown): ConnectionFailed | undefined {
  if (error instanceof ConnectionFailed) return error;
  return error instanceof Error && error.cause instanceof ConnectionFailed ? error.cause : undefined;
}

function adopt(pool: pg.Pool, routes: Routes, writable: WritableWatch): void {
  const connect = pool.connect.bind(pool) as () => Promise<pg.PoolClient>;
  const fresh = async (): Promise<pg.PoolClient> => {
    for (;;) {
      const client = await onEveryWay(routes, connect);
      if (!writable.isStale(client)) return client;
      client.release(true);
    }
  };
  // the pool's own `query` asks by callback
  type Callback = (error: Error, client: pg.PoolClient) => void;
  Object.assign(pool, {
    connect: (callback?: Callback) => (callback === undefined ? fresh() : callbackify(fresh)(callback)),
  });
}
