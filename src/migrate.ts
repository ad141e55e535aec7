/**
 * `npm run migrate`: brings the schema up to date. One at a time: a second one waits for the first.
 * `npm run migrate -- --restored`: after a backup was restored, decides what the lost time requires (`restore.ts`).
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { type DatabaseAddress, databaseAddress, directAddress } from './database/address.ts';
import { type ApplyOptions, applyMigrations, lockedText } from './database/apply-migrations.ts';
import { createConnector } from './database/connector.ts';
import { explainFailure } from './database/hints.ts';
import { describeRestored, markRestored } from './restore.ts';

const MIGRATION_LOCK = 7_203_114; // any constant that nothing else in this database uses
const LOOK_AGAIN_AFTER_MS = 250;
/** `uuidv7()`. */
const OLDEST_SERVER = 180_000;

/** Answers with the names of what was applied: all that was missing. Throws where it cannot; what was applied by then stays. */
export async function migrate(address: string | DatabaseAddress, options: ApplyOptions = {}): Promise<string[]> {
  const direct = directAddress(typeof address === 'string' ? { url: address } : address);
  if (direct.isPooled === true)
    throw new Error(
      'DATABASE_POOLED=1: a pooler cannot pass on how the schema is changed. Set DATABASE_LISTEN_URL to the address of the database itself.',
    );
  const lock = await createConnector(direct).connect({
    application_name: 'session-management-migrate',
    options: '-c statement_timeout=0 -c idle_session_timeout=0',
  });
  try {
    await requireServer(lock);
    await lockOutOthers(lock);
    return await applyMigrations(direct, options);
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

/**
 * For as long as the connection lasts. It looks rather than waits: a statement that waits is a transaction, for which an
 * index that the other one builds beside running requests would wait in turn.
 */
async function lockOutOthers(client: pg.Client): Promise<void> {
  for (;;) {
    const { rows } = await client.query<{ locked: boolean }>('select pg_try_advisory_lock($1) as locked', [
      MIGRATION_LOCK,
    ]);
    if (rows[0]?.locked === true) return;
    await sleep(LOOK_AGAIN_AFTER_MS);
  }
}

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
