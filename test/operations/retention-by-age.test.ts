import { randomUUID } from 'node:crypto';
import { pino } from 'pino';
import { expect, it } from 'vitest';
import { type Removed, retentionStep, startRetention } from '../../src/retention/retention.ts';
import { database, day, days, idsOf, session, test, useRetention, walk } from './use-retention.ts';

useRetention();

it('keys of a day, events of a week and grants that never lived go; younger ones stay', async () => {
  const key = (name: string) =>
    test.query(
      "insert into idempotency_keys (caller, path, key, body_hash, reservation, created_at, reserved_until) values ('c', '/p', $1, '', $2, current_instant(), now())",
      [name, randomUUID()],
    );
  const seen = (name: string) =>
    test.query(
      "insert into seen_session_events (organization_id, event_id, seen_at) values ('o', $1, current_instant())",
      [name],
    );
  await test.query("insert into organizations (id) values ('voided')");
  await test.query(
    `insert into support_access_grants (organization_id, created_by, created_at, activate_before, voided_at, settled_at, expires_at, progress_at, next_look_at, dispatch_after)
     values ('voided', '{}', now(), now(), now(), now(), now(), now(), now(), now())`,
  );
  await Promise.all([key('old'), seen('old')]);
  await test.moveClock(day + 60_000);
  await Promise.all([key('young'), seen('young')]);
  await walk();
  expect(await test.query('select key from idempotency_keys')).toEqual([{ key: 'young' }]);
  expect(await test.query('select event_id from seen_session_events')).toHaveLength(2);
  await test.moveClock(6 * day);
  await walk();
  expect(await test.query('select event_id from seen_session_events')).toEqual([{ event_id: 'young' }]);
  expect(await test.query("select 1 from support_access_grants where organization_id = 'voided'")).toEqual([]);
  await test.moveClock(-(7 * day + 60_000));
});

it('a long table is walked in pages, a step a second, by one worker at a time', async () => {
  await session('many', 'first');
  await test.query(`insert into sessions (organization_id, id, user_id, started_at, recorded_at, last_seen_at, expires_at)
    select 'many', 's' || n, 'grace', now(), now(), now(), now() from generate_series(1, 4500) n`);
  await test.moveClock((days + 1) * day);
  const steps = await walk();
  expect(steps.map(({ sessions }) => sessions > 2_000)).not.toContain(true);
  expect(steps.length).toBeGreaterThanOrEqual(3);
  expect(await idsOf('many')).toEqual(['first']);
  await test.query("update retention_progress set next_step_at = '-infinity'");
  const turns = await Promise.all(
    Array.from({ length: 4 }, () => retentionStep({ database, sessionRetentionDays: days })),
  );
  expect(turns.filter((turn) => turn !== null)).toHaveLength(1);
  await test.moveClock(-(days + 1) * day);
});

it('runs by itself, and stops when it is told to', async () => {
  await test.query("update retention_progress set next_step_at = '-infinity'");
  const removed = Promise.withResolvers<Removed>();
  const retention = startRetention({
    database,
    logger: pino({ level: 'silent' }),
    sessionRetentionDays: days,
    onRemoved: removed.resolve,
  });
  expect(await removed.promise).toMatchObject({ sessions: expect.any(Number) as number });
  await retention.stop();
});
