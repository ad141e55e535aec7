import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import type { Migration } from '@mikro-orm/migrations';
import { type Database, openDatabase } from '../database.ts';
import type { DatabaseAddress } from './address.ts';
import { sqlstateOf } from './sqlstates.ts';

/** A change that waits for a lock makes everybody behind it wait too: it lets them by, and tries again. */
const LOCK_TIMEOUT_MS = 2_000;
/** What builds indexes beside running requests waits for the oldest transaction, and nobody waits behind it. */
const NO_LIMIT = 0;
const TRY_AGAIN_AFTER_MS = 3_000;
const TRY_FOR_MS = 600_000;

export const lockedText = 'A table that has to change is in use by a long transaction (pg_stat_activity shows which).';

export interface ApplyOptions {
  tryAgainAfterMs?: number;
  /** Hears of each try that met a lock. */
  onLocked?: () => void;
}

/**
 * Answers with the names of what was applied, in order. Each is applied whole or is pending still; where one fails, those
 * before it stay. One that is in no transaction is made to be begun again.
 */
export async function applyMigrations(address: DatabaseAddress, options: ApplyOptions): Promise<string[]> {
  const open = (lockTimeoutMs: number) =>
    openDatabase({
      ...address,
      applicationName: 'session-management-migrate',
      statementTimeoutMs: 0,
      lockTimeoutMs,
    });
  const [brief, patient] = await Promise.all([open(LOCK_TIMEOUT_MS), open(NO_LIMIT)]);
  try {
    const pending = await brief.orm.migrator.getPending();
    for (const { name, path } of pending) {
      const { orm } = (await isTransactional(path, brief)) ? brief : patient;
      await againWhileLocked(() => orm.migrator.up({ migrations: [name] }), options);
    }
    return pending.map(({ name }) => name);
  } finally {
    await Promise.all([brief.close(), patient.close()]);
  }
}

async function isTransactional(path: string | undefined, { orm }: Database): Promise<boolean> {
  if (path === undefined) return true;
  // a migration's file has its class and nothing else
  const [Class] = Object.values(
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- see above
    (await import(pathToFileURL(path).href)) as Record<
      string,
      new (...parts: ConstructorParameters<typeof Migration>) => Migration
    >,
  );
  return Class === undefined || new Class(orm.em.getDriver(), orm.config).isTransactional();
}

async function againWhileLocked(apply: () => Promise<unknown>, options: ApplyOptions): Promise<void> {
  const { tryAgainAfterMs = TRY_AGAIN_AFTER_MS, onLocked } = options;
  const giveUpAt = performance.now() + TRY_FOR_MS;
  for (;;) {
    try {
      await apply();
      return;
    } catch (error) {
      if (!isLocked(error)) throw error;
      if (performance.now() > giveUpAt) throw new Error(`${lockedText} Run it again.`, { cause: error });
      onLocked?.();
      await sleep(tryAgainAfterMs);
    }
  }
}

/** Lock time-out, or the one that was ended of two that waited for each other. */
const isLocked = (error: unknown): boolean => ['55P03', '40P01'].includes(sqlstateOf(error) ?? '');
