import { callbackify } from 'node:util';
import pg from 'pg';
import { codeOf } from '../error-code.ts';
import type { ConnectionSettings } from './connection-settings.ts';
import type { Route, Routes } from './routes.ts';
import { tlsOptions } from './tls.ts';

/** No connection was made. Its code is that of what failed. */
export class ConnectionFailed extends Error {
  readonly code: string;
  /** Another way to the database may still succeed. */
  readonly hasAlternative: boolean;

  constructor(cause: unknown, hasAlternative: boolean) {
    super(cause instanceof Error ? cause.message : 'the connection failed', { cause });
    this.name = 'ConnectionFailed';
    this.code = codeOf(cause);
    this.hasAlternative = hasAlternative;
  }
}

export interface ClientParts {
  settings: ConnectionSettings;
  routes: Routes;
  /** Hears of each statement and connection that failed. */
  onError: (error: unknown) => void;
  /** What a connection is asked for when it has been made. */
  onConnect: (client: pg.Client) => Promise<void>;
}

export interface RoutedConfig extends pg.ClientConfig {
  /** Exactly this way, whatever others take. Default: the one that new connections take. */
  route?: Route;
}
export interface RoutedClient extends pg.Client {
  readonly route: Route;
}
export type ClientClass = new (config?: RoutedConfig) => RoutedClient;

/** The class of all connections to one database: whoever makes one of it, a pool too, gets what the settings say. */
export const createClientClass = ({ settings, routes, onError, onConnect }: ClientParts): ClientClass =>
  class extends pg.Client implements RoutedClient {
    readonly route: Route;

    constructor({ route = routes.current(), ...config }: RoutedConfig = {}) {
      super({ ...config, ...configOf(settings, route, config) });
      this.route = route;
      // told by the promises; between two of them, without a listener, a lost connection would end the process
      this.on('error', () => undefined);
    }

    override connect(callback?: unknown): Promise<pg.Client> & Promise<void> {
      const connected = this.#connect();
      if (typeof callback === 'function')
        // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a pool calls back with these
        callbackify(() => connected)(callback as (error: Error, client: pg.Client) => void);
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the library's overloads have no common form
      return connected as Promise<pg.Client> & Promise<void>;
    }

    async #connect(): Promise<pg.Client> {
      try {
        await super.connect();
        await requireWritable(this, this.route.required);
        await onConnect(this);
        return this;
      } catch (error) {
        onError(error);
        const hasAlternative = routes.failed(this.route, error);
        void super.end().catch(() => undefined);
        throw new ConnectionFailed(error, hasAlternative);
      }
    }

    // the library's overloads have no common form: this passes on what it is given, and hears of failures
    override query(...given: never[]): never {
      const query: (...all: never[]) => unknown = super.query.bind(this);
      const answer = query(...given);
      if (answer instanceof Promise) answer.catch(onError);
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- see above
      return answer as never;
    }
  };

function configOf(settings: ConnectionSettings, route: Route, own: pg.ClientConfig): pg.ClientConfig {
  return {
    host: route.host.name,
    port: route.host.port,
    user: settings.user,
    password: settings.password,
    database: settings.database,
    ssl: route.isEncrypted ? tlsOptions(settings, route.host) : false,
    ...(route.isEncrypted && settings.isDirectTls ? { sslnegotiation: 'direct' as const } : {}),
    application_name: settings.applicationName ?? own.application_name,
    options: [own.options, settings.options].filter(Boolean).join(' '),
    keepAlive: settings.keepAlive,
    keepAliveInitialDelayMillis: settings.keepAliveInitialDelayMs,
    ...(settings.connectTimeoutMs === undefined ? {} : { connectionTimeoutMillis: settings.connectTimeoutMs }),
  };
}

/** What PostgreSQL itself says to a statement that would write. */
const READ_ONLY = '25006';

async function requireWritable(client: pg.Client, required: Route['required']): Promise<void> {
  if (required === 'any') return;
  const { rows } = await client.query<{ fits: boolean }>(
    required === 'primary'
      ? 'select not pg_is_in_recovery() as fits'
      : `select current_setting('transaction_read_only') = 'off' as fits`,
  );
  if (rows[0]?.fits !== true)
    throw Object.assign(new Error(`the server is not ${required === 'primary' ? 'the primary' : 'writable'}`), {
      code: READ_ONLY,
    });
}
