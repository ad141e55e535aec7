import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool } from 'pg';

const LOOK_EVERY_MS = 5;

/**
 * Resolves when every statement that was begun is done; what is begun later fails, so that a loop of statements cannot
 * keep a database open. To be called before the ORM closes: Kysely, closed while a statement waits for its connection,
 * never gives that one back, and closing waits for it for ever.
 */
export async function quiesce(pool: Pool | undefined): Promise<void> {
  if (pool === undefined) return;
  // also the statements that were begun in this turn have then asked for their connection
  await sleep(LOOK_EVERY_MS);
  pool.connect = () => Promise.reject(new Error('the database is closed'));
  while (pool.waitingCount > 0 || pool.idleCount < pool.totalCount) await sleep(LOOK_EVERY_MS);
}
