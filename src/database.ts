import { fileURLToPath } from 'node:url';
import { defineConfig, MikroORM } from '@mikro-orm/postgresql';
import { Migrator } from '@mikro-orm/migrations';
import type { Kysely, RawBuilder } from 'kysely';
import type { Pool } from 'pg';
import { quiesce } from './close-pool.ts';
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
  url: string;
  /** The pool, for reads and single statements. */
  pool: Queryable;
  /** Runs `work` in one transaction at READ COMMITTED; commits when it resolves, rolls back when it throws. Runs it again where PostgreSQL ended it for a deadlock. */
  transaction<T>(work: (transaction: Transaction) => Promise<T>): Promise<T>;
  /** For what single statements have changed; a transaction uses `tellAfterCommit`. */
  tell: Notifier['tell'];
  /** Resolves when every statement that was begun is done and no connection is left; later ones fail. */
  close(): Promise<void>;
}

export interface DatabaseOptions {
  url: string;
  applicationName: string;
  poolSize?: number;
  statementTimeoutMs?: number;
  /** How long a caller waits for a connection, a busy pool included. */
  connectTimeoutMs?: number;
  /** Is given the pool when it is made: who closes it must see what it still does. */
  onPool?: (pool: Pool) => void;
}

export const ormOptions = ({ statementTimeoutMs = 15_000, connectTimeoutMs = 10_000, ...options }: DatabaseOptions) =>
  defineConfig({
    clientUrl: options.url,
    entities,
    extensions: [Migrator],
    forceUtcTimezone: true,
    ignoreUndefinedInQuery: false,
    pool: { min: 0, max: options.poolSize ?? 10, idleTimeoutMillis: 30_000 },
    driverOptions: {
      application_name: options.applicationName,
      // by its own reckoning PostgreSQL would plan the larger statements anew at every call, for 2 ms each
      // and would compile some of them, for a second where they run for a millisecond
      options: '-c plan_cache_mode=force_generic_plan -c jit=off',
      statement_timeout: statementTimeoutMs,
      idle_in_transaction_session_timeout: 30_000,
      connectionTimeoutMillis: connectTimeoutMs,
      keepAlive: true,
      onPoolCreated: (pool: Pool) => {
        options.onPool?.(pool);
        prepareStatements(pool);
        endSilentConnections(pool, { url: options.url, statementTimeoutMs, connectTimeoutMs });
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
  const orm = await MikroORM.init(ormOptions({ ...options, onPool: (created) => (connections = created) }));
  const pool: Queryable = orm.em.fork().getKysely<unknown>();
  const notifier = createNotifier(pool);
  return {
    orm,
    url: options.url,
    pool,
    // not the ORM's own: where the connection is lost its rollback fails, and the pool never gets its place back
    transaction: (work) => againAfterDeadlock(() => transactionThatTells(pool, notifier, work)),
    tell: notifier.tell,
    async close() {
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

/**
 * Whether an error means "the database cannot be reached or is going away", so that nothing was decided and a retry is
 * safe: connection failures, PostgreSQL classes 08 and 57P, pool time-outs. (PostgreSQL manual, appendix A)
 */
export function isDatabaseUnavailable(error: unknown): boolean {
  for (let e = error; e instanceof Error; e = e.cause) {
    const code = 'code' in e && typeof e.code === 'string' ? e.code : '';
    if (/^(08|57P|53300|ECONNREFUSED|ECONNRESET|EPIPE|ENOTFOUND|ETIMEDOUT|EAI_AGAIN)/.test(code)) return true;
    if (
      e.name === 'DriverException' &&
      /Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error/.test(
        e.message,
      )
    )
      return true;
    if (
      /Connection terminated|timeout exceeded when trying to connect|not queryable|Query read timeout/.test(e.message)
    )
      return true;
  }
  return false;
}

/** The public error for a failure that only the database explains; anything else is passed through. */
export const publicDatabaseError = (error: unknown): unknown =>
  isDatabaseUnavailable(error)
    ? new ServiceError(
        'database-unavailable',
        // not "nothing was changed": a connection can be lost after the server has committed
        'The database cannot be reached; a retry is safe.',
        { cause: error, headers: { 'Retry-After': '1' } },
      )
    : error;
