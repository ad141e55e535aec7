import { sql } from 'kysely';
import { Gauge, type Registry } from 'prom-client';
import { type Database, row } from '../database.ts';
import { prefix } from './naming.ts';

/** How far the database's clock is ahead of this process's, and by how much that may be wrong: half the way there and back. */
export interface ClockReading {
  differenceMs: number;
  errorMs: number;
}

/** Shows the latest reading; nothing where the database did not answer. */
export function createShowClock(registry: Registry): (reading: ClockReading | undefined) => void {
  const gaugeOf = (name: string, help: string) => {
    const gauge = new Gauge({ name: prefix + name, help, registers: [registry] });
    gauge.remove();
    return gauge;
  };
  const difference = gaugeOf(
    'database_clock_difference_seconds',
    'The clock of the database against that of this process: positive is ahead.',
  );
  const error = gaugeOf(
    'database_clock_difference_error_seconds',
    'By how much that may be wrong: half the time that reading the database’s clock took.',
  );
  return (reading) => {
    for (const gauge of [difference, error]) gauge.remove();
    if (reading === undefined) return;
    difference.set(reading.differenceMs / 1_000);
    error.set(reading.errorMs / 1_000);
  };
}

/** Reads the clock that every statement of the service reads. */
export async function readClock(database: Pick<Database, 'pool'>): Promise<ClockReading> {
  const [askedAt, began] = [Date.now(), performance.now()];
  const answer = await row<{ ms: number }>(
    database.pool,
    sql`select (extract(epoch from current_instant()) * 1000)::float8 as ms`,
  );
  // not by the clock: it may be set while it waits
  const errorMs = (performance.now() - began) / 2;
  return { differenceMs: (answer?.ms ?? Number.NaN) - askedAt - errorMs, errorMs };
}
