import { setTimeout as delay } from 'node:timers/promises';
import { sql } from 'kysely';
import type { Logger } from 'pino';
import { type Database, row, rows, type Transaction } from '../database.ts';
import { codeOf } from '../error-code.ts';
import { removeIdempotencyKeys, removeSeenEvents, removeVoidedGrants } from './remove-by-age.ts';
import {
  clearEndedSessions,
  clearTerminatedSessions,
  nextPageEnd,
  type PageEnd,
  removeOldSessions,
} from './remove-sessions.ts';

export interface RetentionOptions {
  database: Database;
  logger: Logger;
  /** How long a session that is over stays. */
  sessionRetentionDays: number;
  /** Asked before each step. */
  mayRemove?: () => boolean;
  onRemoved?: (removed: Removed) => void;
}

/** Rows by what became of them in one step. */
export interface Removed {
  sessions: number;
  terminatedSessionsCleared: number;
  endedSessionsCleared: number;
  idempotencyKeys: number;
  seenEvents: number;
  voidedGrants: number;
}

export interface Retention {
  stop(): Promise<void>;
}

const STEP_MS = 1_000;
/** After a whole walk; expiry is read by the clock, so nobody waits for it. */
const REST_SECONDS = 600;
/** Rows of one kind in one step: bounded locks, bounded WAL, and more than a second brings. */
const BATCH = 5_000;

/**
 * Runs in every worker; one of them at a time makes a step, at most one a second: the next 2,000 sessions by primary key,
 * and a batch of what only has an age. Audit, terminations (which are fences) and whatever a termination that is not
 * verified may still need are never touched.
 */
export function startRetention({ logger, mayRemove = () => true, onRemoved, ...options }: RetentionOptions): Retention {
  const stopping = new AbortController();
  const run = async () => {
    while (!stopping.signal.aborted) {
      try {
        const removed = mayRemove() ? await retentionStep(options) : null;
        if (removed !== null) onRemoved?.(removed);
      } catch (error) {
        logger.warn({ error: codeOf(error) }, 'retention could not make its step; it comes again');
      }
      await delay(STEP_MS, undefined, { signal: stopping.signal }).catch(() => undefined);
    }
  };
  const running = run();
  return {
    async stop() {
      stopping.abort();
      await running;
    },
  };
}

/** One step, all or nothing. Null: none is due, or another worker is at it. */
export const retentionStep = ({
  database,
  sessionRetentionDays,
}: Pick<RetentionOptions, 'database' | 'sessionRetentionDays'>): Promise<Removed | null> =>
  database.transaction(async (transaction) => {
    const from = await takeTurn(transaction);
    if (from === undefined) return null;
    const to = await nextPageEnd(transaction, from);
    const page = { from, to, days: sessionRetentionDays };
    const removed: Removed = {
      terminatedSessionsCleared: await clearTerminatedSessions(transaction, page),
      endedSessionsCleared: await clearEndedSessions(transaction, page),
      sessions: await removeOldSessions(transaction, page),
      idempotencyKeys: await removeIdempotencyKeys(transaction, BATCH),
      seenEvents: await removeSeenEvents(transaction, BATCH),
      // they have no index of their own: one look a walk
      voidedGrants: to === null ? await removeVoidedGrants(transaction, BATCH) : 0,
    };
    const isBehind = [removed.idempotencyKeys, removed.seenEvents, removed.voidedGrants].includes(BATCH);
    await keepPlace(transaction, to, to === null && !isBehind ? REST_SECONDS : STEP_MS / 1_000);
    return removed;
  });

const takeTurn = (transaction: Transaction): Promise<PageEnd | undefined> =>
  row<PageEnd>(
    transaction,
    sql`select organization_id as "organizationId", session_id as "sessionId" from retention_progress where next_step_at <= current_instant() for update skip locked`,
  );

const keepPlace = (transaction: Transaction, to: PageEnd | null, inSeconds: number): Promise<unknown> =>
  rows(
    transaction,
    sql`update retention_progress set organization_id = ${to?.organizationId ?? ''}, session_id = ${to?.sessionId ?? ''},
      next_step_at = current_instant() + ${inSeconds} * interval '1 second'`,
  );
