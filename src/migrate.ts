/**
 * `npm run migrate`: brings the schema up to date. One at a time: a second one waits for the first.
 * `npm run migrate -- --restored`: after a backup was restored, decides what the lost time requires (`restore.ts`).
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { openDatabase } from './database.ts';
import { type DatabaseAddress, databaseAddress, directAddress } from './database/address.ts';
import { createConnector } from './database/connector.ts';
import { explainFailure } from './database/hints.ts';
import { sqlstateOf } from './database/sqlstates.ts';
import { describeRestored, markRestored } from './restore.ts';

const MIGRATION_LOCK = 7_203_114; // any constant that nothing else in this database uses
/** `uuidv7()`. */
const OLDEST_SERVER = 180_000;
/** A change that waits for a lock makes everybody behind it wait too: it lets them by, and tries again. */
const LOCK_TIMEOUT_MS = 2_000;
const TRY_AGAIN_AFTER_MS = 3_000;
const TRY_FOR_MS = 600_000;

export interface MigrateOptions {
  tryAgainAfterMs?: number;
  /** Hears of each try that met a lock. */
  onLocked?: () => void;
}

/** Answers with the names of what was applied: all that was missing, or, where it throws, nothing. */
export async function migrate(address: string | DatabaseAddress, options: MigrateOptions = {}): Promise<string[]> {
  const direct = directAddress(typeof address === 'string' ? { url: address } : address);
  const lock = await createConnector(direct).connect({ application_name: 'session-management-migrate' });
  try {
    await requireServer(lock);
    await lockOutOthers(lock);
    return await apply(direct, options);
  } finally {
    await lock.end();
  }
}

async function requireServer(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ version: string; number: number }>(
    `select current_setting('server_version') as version, current_setting('server_version_num')::int as number`,
  );
  const [server] = rows;
  if (server !== undefined && server.number < OLDEST_SERVER)
    throw new Error(`PostgreSQL 18 or newer is needed, and this server is ${server.version}. Nothing was changed.`);
}

/** For as long as a transaction lasts, and not a session, which a pooler would lend to others with the lock in it. */
async function lockOutOthers(client: pg.Client): Promise<void> {
  await client.query('begin');
  for (const limit of [
    'statement_timeout',
    'lock_timeout',
    'idle_in_transaction_session_timeout',
    'transaction_timeout',
  ])
    await client.query(`set local ${limit} = 0`);
  await client.query('select pg_advisory_xact_lock($1)', [MIGRATION_LOCK]);
}

async function apply(address: DatabaseAddress, options: MigrateOptions): Promise<string[]> {
  const { tryAgainAfterMs = TRY_AGAIN_AFTER_MS, onLocked } = options;
  const database = await openDatabase({
    ...address,
    applicationName: 'session-management-migrate',
    statementTimeoutMs: 0,
    lockTimeoutMs: LOCK_TIMEOUT_MS,
  });
  const giveUpAt = performance.now() + TRY_FOR_MS;
  try {
    for (;;) {
      try {
        return (await database.orm.migrator.up()).map((migration) => migration.name);
      } catch (error) {
        if (!isLocked(error)) throw error;
        if (performance.now() > giveUpAt) throw new Error(`${lockedText} Nothing was changed.`, { cause: error });
        onLocked?.();
        await sleep(tryAgainAfterMs);
      }
    }
  } finally {
    await database.close();
  }
}

const lockedText = 'A table that has to change is in use by a long transaction (pg_stat_activity shows which).';
/** Lock time-out, or the one that was ended of two that waited for each other. */
const isLocked = (error: unknown): boolean => ['55P03', '40P01'].includes(sqlstateOf(error) ?? '');

async function main(environment: NodeJS.ProcessEnv, args: string[]): Promise<string> {
  const address = databaseAddress(environment);
  if (args.length === 1 && args[0] === '--restored') return describeRestored(await markRestored(address));
  if (args.length > 0) throw new Error('usage: npm run migrate [-- --restored]');
  const applied = await migrate(address, {
    onLocked: () => process.stderr.write(`${lockedText} Trying again.\n`),
  });
  return applied.length === 0 ? 'The schema is up to date.' : `Applied ${applied.join(', ')}.`;
}

if (import.meta.main) {
  try {
    process.stdout.write(`${await main(process.env, process.argv.slice(2))}\n`);
  } catch (error) {
    process.stderr.write(`${explainFailure(error)}\n`);
    process.exitCode = 1;
  }
}
