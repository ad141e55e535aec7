import { fileURLToPath } from 'node:url';
import { defineConfig, MikroORM } from '@mikro-orm/postgresql';
import { Migrator } from '@mikro-orm/migrations';
import type { Kysely, RawBuilder } from 'kysely';
import type { Pool } from 'pg';
import { quiesce } from './close-pool.ts';
import { type Connector, createConnector } from './database/connector.ts';
import { type FailureClass, failureClassOf } from './database/sqlstates.ts';
import { entities } from './entities/index.ts';
import { ServiceError } from './errors.ts';
import { createNotifier, type Notifier, transactionThatTells } from './notifications.ts';
import { prepareStatements } from './prepared-statements.ts';
import { endSilentConnections } from './silent-connections.ts';

/** Something SQL can be run on: the pool, or a transaction. */
export type Queryable = Kysely<unknown>;
/** A `Queryable` of one open transaction. */
export type Transaction = Queryable;

export interface Database {
  orm: MikroORM;
  /** By which all of its connections are made. */
  connector: Connector;
  /** By which one may LISTEN; undefined behind a pooler that nobody said a way around. */
  listening: Connector | undefined;
  /** The pool, for reads and single statements. */
  pool: Queryable;
  /** Runs `work` in one transaction at READ COMMITTED; commits when it resolves, rolls back when it throws. Runs it again where PostgreSQL ended it for a deadlock. */
  transaction<T>(work: (transaction: Transaction) => Promise<T>): Promise<T>;
  /** For what single statements have changed; a transaction uses `tellAfterCommit`. */
  tell: Notifier['tell'];
  readonly isClosed: boolean;
  /** Resolves when every statement that was begun is done and no connection is left; later ones fail. */
  close(): Promise<void>;
}

export interface DatabaseOptions {
  url: string;
  /** Where libpq's variables are read. Default: the process's own. */
  environment?: NodeJS.ProcessEnv;
  /** A pooler in transaction mode stands between: nothing is kept in a connection. */
  isPooled?: boolean;
  /** The database's own address, past a pooler, for LISTEN. */
  listenUrl?: string | undefined;
  applicationName: string;
  poolSize?: number;
  statementTimeoutMs?: number;
  /** How long a caller waits for a connection, a busy pool included. */
  connectTimeoutMs?: number;
  /** How long a statement waits for a lock that another transaction holds. Default: as long as it may take at all. */
  lockTimeoutMs?: number;
  /** Hears of each statement and connection that failed. */
  onError?: (error: unknown) => void;
}

interface OrmParts extends DatabaseOptions {
  connector: Connector;
  /** Is given the pool when it is made: who closes it must see what it still does. */
  onPool: (pool: Pool) => void;
}

/** Settings that each connection begins with. A pooler lends connections of others: there the role has them (ops/pooled.sql). */
const sessionSettings = ({ statementTimeoutMs, lockTimeoutMs = 0 }: DatabaseOptions) => ({
  // by its own reckoning PostgreSQL would plan the larger statements anew at every call, for 2 ms each
  // and would compile some of them, for a second where they run for a millisecond
  options: '-c plan_cache_mode=force_generic_plan -c jit=off',
  statement_timeout: statementTimeoutMs,
  lock_timeout: lockTimeoutMs,
  idle_in_transaction_session_timeout: 30_000,
});

const ormOptions = ({ statementTimeoutMs = 15_000, connectTimeoutMs = 10_000, ...options }: OrmParts) =>
  defineConfig({
    // only its name: the connector's clients know the rest
    dbName: options.connector.settings.database ?? 'postgres',
    entities,
    extensions: [Migrator],
    forceUtcTimezone: true,
    ignoreUndefinedInQuery: false,
    pool: { min: 0, max: options.poolSize ?? 10, idleTimeoutMillis: 30_000 },
    driverOptions: {
      Client: options.connector.Client,
      application_name: options.applicationName,
      connectionTimeoutMillis: connectTimeoutMs,
      ...(options.isPooled === true ? {} : sessionSettings({ ...options, statementTimeoutMs })),
      onPoolCreated: (pool: Pool) => {
        const { connector, isPooled = false } = options;
        connector.adopt(pool);
        options.onPool(pool);
        if (!isPooled) prepareStatements(pool);
        endSilentConnections(pool, { connector, isPooled, statementTimeoutMs, connectTimeoutMs });
      },
    },
    migrations: {
      path: fileURLToPath(new URL('../migrations', import.meta.url)),
      emit: 'ts',
      snapshot: false,
      transactional: true,
      // each in a transaction of its own: one that builds indexes beside running requests is in none
      allOrNothing: false,
      disableForeignKeys: false,
    },
    logger: () => undefined,
  });

/** Connects lazily: building it needs no server, and a server that is away fails the single call, not the process. */
export async function openDatabase(options: DatabaseOptions): Promise<Database> {
  let connections: Pool | undefined;
  const connector = createConnector(options);
  const { listenUrl, isPooled = false, environment } = options;
  const listening = listenUrl === undefined ? undefined : createConnector({ url: listenUrl, environment });
  const orm = await MikroORM.init(ormOptions({ ...options, connector, onPool: (created) => (connections = created) }));
  const pool: Queryable = orm.em.fork().getKysely<unknown>();
  const notifier = createNotifier(pool);
  let isClosed = false;
  return {
    get isClosed() {
      return isClosed;
    },
    orm,
    connector,
    listening: listening ?? (isPooled ? undefined : connector),
    pool,
    // not the ORM's own: where the connection is lost its rollback fails, and the pool never gets its place back
    transaction: (work) => againAfterDeadlock(() => transactionThatTells(pool, notifier, work)),
    tell: notifier.tell,
    async close() {
      isClosed = true;
      await notifier.idle();
      await quiesce(connections);
      await orm.close(true);
    },
  };
}

const DEADLOCKS = 5;

/** Of transactions that wait for each other PostgreSQL ends one, with nothing written: it has its turn after the other. */
async function againAfterDeadlock<T>(run: () => Promise<T>): Promise<T> {
  for (let deadlocks = 1; ; deadlocks++) {
    try {
      return await run();
    } catch (error) {
      const isDeadlock = error instanceof Error && 'code' in error && error.code === '40P01';
      if (!isDeadlock || deadlocks === DEADLOCKS) throw error;
    }
  }
}

/** All rows of a statement. */
export async function rows<T>(db: Queryable, statement: RawBuilder<T>): Promise<T[]> {
  return (await statement.execute(db)).rows;
}

/** The first row of a statement, or undefined. */
export async function row<T>(db: Queryable, statement: RawBuilder<T>): Promise<T | undefined> {
  return (await statement.execute(db)).rows[0];
}

/** Whether an error is a trouble of the database's and not of this service, so that a retry is right (`sqlstates.ts`). */
export const isDatabaseUnavailable = (error: unknown): boolean => failureClassOf(error) !== undefined;

/** What the public is told; each is safe to send again. */
const publicDetails: Partial<Record<FailureClass, string>> = {
  'read-only': 'The database can be read and not written at present; a retry is safe.',
  locked: 'The database is busy with a change to itself; a retry is safe.',
  'timed-out': 'The database did not answer in time; a retry is safe.',
  full: 'The database has no room at present; a retry is safe.',
};

/** The public error for a failure that only the database explains; anything else is passed through. */
export function publicDatabaseError(error: unknown): unknown {
  const failure = failureClassOf(error);
  if (failure === undefined) return error;
  // not "nothing was changed": a connection can be lost after the server has committed
  const detail = publicDetails[failure] ?? 'The database cannot be reached; a retry is safe.';
  return new ServiceError('database-unavailable', detail, { cause: error, headers: { 'Retry-After': '1' } });
}
