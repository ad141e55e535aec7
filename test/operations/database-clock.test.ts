import { Writable } from 'node:stream';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { type Database, openDatabase } from '../../src/database.ts';
import { startRetention } from '../../src/retention/retention.ts';
import { watchDatabase } from '../../src/watch-database.ts';
import { eventually } from '../harness/client.ts';
import { cloneDatabase, type TestDatabase } from '../harness/database.ts';

let clone: TestDatabase;
let database: Database;
beforeAll(async () => {
  clone = await cloneDatabase();
  database = await openDatabase({ url: clone.url, applicationName: 'database-clock', poolSize: 2 });
});
afterAll(async () => {
  await database.close();
  await clone.drop();
});

interface Line {
  msg: string;
  differenceMs: number;
  wasMs: number;
}
function watch() {
  const lines: Line[] = [];
  const into = new Writable({
    write: (chunk: Buffer, _, done) => (lines.push(JSON.parse(chunk.toString()) as Line), done()),
  });
  const metrics = new Registry();
  const watched = watchDatabase({ database, metrics, logger: pino({ level: 'warn' }, into) });
  onTestFinished(() => watched.stop());
  const difference = async () => {
    const [value] =
      (await metrics.getSingleMetric('session_management_database_clock_difference_seconds')?.get())?.values ?? [];
    return value?.value;
  };
  return { lines, metrics, difference, watched };
}

it('each process shows how far the database’s clock is from its own, and logs each change of it', async () => {
  const { lines, metrics, difference, watched } = watch();
  const near = (seconds: number) => eventually(difference, (shown) => Math.abs((shown ?? Number.NaN) - seconds) < 1);
  await near(0);
  expect(watched.clocksAgree()).toBe(true);
  expect(lines).toEqual([]);
  await clone.moveClock(-600_000);
  await near(-600);
  expect(watched.clocksAgree()).toBe(false);
  await clone.moveClock(600_000);
  await near(0);
  expect(lines.map(({ msg, differenceMs }) => [msg, Math.round(differenceMs / 60_000) + 0])).toEqual([
    ['the clock of the database was set back against ours', -10],
    ['the clock of the database was set ahead against ours', 0],
  ]);
  const error = await metrics.getSingleMetric('session_management_database_clock_difference_error_seconds')?.get();
  expect(error?.values[0]?.value).toBeLessThan(1);
});

it('retention removes nothing while the clocks disagree: what is old cannot be known then', async () => {
  await clone.query(`insert into seen_session_events values ('org', 'old', current_instant() - interval '8 days')`);
  const [left] = [() => clone.query('select 1 from seen_session_events')];
  let asked = 0;
  let agree = false;
  const retention = startRetention({
    database,
    logger: pino({ level: 'silent' }),
    sessionRetentionDays: 90,
    mayRemove: () => ((asked += 1), agree),
  });
  onTestFinished(() => retention.stop());
  await eventually(
    () => Promise.resolve(asked),
    (times) => times >= 3,
  );
  expect(await left()).toHaveLength(1);
  agree = true;
  await eventually(left, (rows) => rows.length === 0);
});
