/** What every process watches of its database, beside using it: its clock, and whether a standby could lose decisions. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Registry } from 'prom-client';
import type { Logger } from 'pino';
import type { Database } from './database.ts';
import { codeOf } from './error-code.ts';
import { type ClockReading, createShowClock, readClock } from './metrics/database-clock.ts';
import { everyStandbyIsAsynchronous } from './metrics/standbys.ts';

export interface WatchDatabaseOptions {
  database: Pick<Database, 'pool'>;
  metrics: Registry;
  logger: Logger;
  everyMs?: number;
  standbysEveryMs?: number;
}

export interface DatabaseWatch {
  /** Whether the clocks of the database and of this process agreed when they were compared last. Never true before. */
  clocksAgree(): boolean;
  /** What is being asked is finished, and nothing more is asked. */
  stop(): void;
}

/** Clocks that are kept right by NTP differ by less. */
const TOLERATED_MS = 2_000;

/**
 * Compares the database's clock with this process's every two seconds: a metric, and a line in the log at each change of more
 * than two seconds. Warns once where every standby is asynchronous, if the role may see that.
 */
export function watchDatabase({
  database,
  metrics,
  logger,
  everyMs = 2_000,
  standbysEveryMs = 60_000,
}: WatchDatabaseOptions): DatabaseWatch {
  const stopping = new AbortController();
  const show = createShowClock(metrics);
  const warnOfStandbys = createWarnOfStandbys(database, logger, standbysEveryMs);
  const tellOfChange = createTellOfChange(logger);
  let last: ClockReading | undefined;
  const look = async () => {
    last = await readClock(database);
    show(last);
    tellOfChange(last);
  };
  const run = async () => {
    while (!stopping.signal.aborted) {
      await look().catch((error: unknown) => {
        if (stopping.signal.aborted) return;
        last = undefined;
        show(undefined);
        logger.debug({ error: codeOf(error) }, 'the clock of the database could not be read');
      });
      await warnOfStandbys().catch((error: unknown) =>
        logger.debug({ error: codeOf(error) }, 'the standbys of the database could not be read'),
      );
      await delay(everyMs, undefined, { signal: stopping.signal }).catch(() => undefined);
    }
  };
  void run();
  return {
    clocksAgree: () => last !== undefined && beyondError(last, { differenceMs: 0, errorMs: 0 }) === 0,
    stop: () => stopping.abort(),
  };
}

/** One line for each change, against the reading that was told last. */
function createTellOfChange(logger: Logger): (reading: ClockReading) => void {
  let told: ClockReading = { differenceMs: 0, errorMs: 0 };
  return (reading) => {
    const change = beyondError(reading, told);
    if (change === 0) return;
    const [differenceMs, errorMs, wasMs] = [reading.differenceMs, reading.errorMs, told.differenceMs].map(Math.round);
    logger.warn(
      { differenceMs, errorMs, wasMs },
      `the clock of the database was set ${change < 0 ? 'back' : 'ahead'} against ours`,
    );
    told = reading;
  };
}

/** By how much two readings differ beyond what is tolerated and what they may be wrong; 0 within that. */
function beyondError(now: ClockReading, before: ClockReading): number {
  const change = now.differenceMs - before.differenceMs;
  return Math.abs(change) <= TOLERATED_MS + now.errorMs + before.errorMs ? 0 : change;
}

/** Once: a takeover by such a standby may lose the last decisions, which had been answered. */
function createWarnOfStandbys(database: Pick<Database, 'pool'>, logger: Logger, everyMs: number): () => Promise<void> {
  let nextAt = 0;
  return async () => {
    if (performance.now() < nextAt) return;
    nextAt = performance.now() + everyMs;
    if (!(await everyStandbyIsAsynchronous(database))) return;
    nextAt = Infinity;
    logger.warn(
      'every standby of the database is asynchronous: a takeover may lose decisions that were answered (synchronous_standby_names)',
    );
  };
}
