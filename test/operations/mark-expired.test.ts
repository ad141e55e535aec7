import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Database, openDatabase } from '../../src/database.ts';
import { markExpiredStep } from '../../src/retention/mark-expired.ts';
import type { SessionView } from '../../src/rules/session.ts';
import { event, report, started } from '../harness/events.ts';
import { useStack } from '../harness/stack.ts';
import { listSessions } from '../harness/terminations.ts';

const stack = useStack({ worker: false });
const hour = 3_600_000;
let database: Database;
beforeAll(async () => {
  database = await openDatabase({ url: stack.database.url, applicationName: 'mark-expired-test' });
});
afterAll(() => database.close());

const query = (text: string) => stack.database.query(text);
/** A whole walk, as the workers make it; how many were marked. */
async function walk(): Promise<number> {
  let marked = 0;
  await query(
    `update expiry_progress set organization_id = '', user_id = '', first_started_at = '-infinity', session_id = '', next_step_at = '-infinity'`,
  );
  for (;;) {
    marked += (await markExpiredStep(database)) ?? 0;
    const [place] = await stack.database.query<{ session_id: string }>('select session_id from expiry_progress');
    if (place?.session_id === '') return marked;
    await query(`update expiry_progress set next_step_at = '-infinity'`);
  }
}
const shown = async (userId: string, status: 'active' | 'ended' | 'all' = 'active') =>
  (await listSessions(stack, 'marked', userId, status)).map(({ id, status: is }: SessionView) => `${id} ${is}`);
const marked = async (userId: string) =>
  (
    await stack.database.query<{ id: string }>(
      'select id from sessions where user_id = $1 and expiry_marked_at is not null order by id',
      [userId],
    )
  ).map(({ id }) => id);
const at = (ms: number) => new Date(Date.now() + ms).toISOString();

async function plant(userId: string): Promise<void> {
  await report(
    stack,
    [
      ['endless', undefined],
      ['later', at(9 * hour)],
      ['long-ago', at(-5 * hour)],
      ['lately', at(-hour / 2)],
    ].map(([id, expiresAt], n) =>
      started({
        organizationId: 'marked',
        userId,
        sessionId: `${userId}-${id}`,
        startedAt: at(-(10 + n) * hour),
        ...(expiresAt === undefined ? {} : { expiresAt }),
      }),
    ),
  );
}

it('what has expired more than an hour ago is marked, and nothing else; every list is as it was', async () => {
  await plant('grace');
  const before = [await shown('grace'), await shown('grace', 'ended'), await shown('grace', 'all')];
  expect(await walk()).toBe(1);
  expect(await marked('grace')).toEqual(['grace-long-ago']);
  expect([await shown('grace'), await shown('grace', 'ended'), await shown('grace', 'all')]).toEqual(before);
  expect(await walk()).toBe(0);
});

it('a later end brings a marked session back', async () => {
  await plant('ada');
  await walk();
  expect(await shown('ada')).not.toContain('ada-long-ago active');
  await report(stack, [
    event('session.refreshed', {
      organizationId: 'marked',
      userId: 'ada',
      sessionId: 'ada-long-ago',
      startedAt: at(-12 * hour),
      occurredAt: at(0),
      expiresAt: at(hour),
    }),
  ]);
  expect(await marked('ada')).toEqual([]);
  expect(await shown('ada')).toContain('ada-long-ago active');
});

it('also where the end came later while it was being marked', async () => {
  await plant('joan');
  const refresh = () =>
    report(stack, [
      event('session.refreshed', {
        organizationId: 'marked',
        userId: 'joan',
        sessionId: 'joan-long-ago',
        startedAt: at(-12 * hour),
        occurredAt: at(0),
        expiresAt: at(hour),
      }),
    ]);
  await Promise.all([walk(), refresh(), walk()]);
  expect(await shown('joan')).toContain('joan-long-ago active');
});

it('what was marked by a clock that was a day ahead is active again once the clock is right', async () => {
  await plant('mary');
  await stack.database.moveClock(24 * hour);
  await walk();
  expect(await marked('mary')).toEqual(['mary-lately', 'mary-later', 'mary-long-ago']);
  await stack.database.moveClock(-24 * hour);
  await walk();
  expect(await marked('mary')).toEqual(['mary-long-ago']);
  expect((await shown('mary')).toSorted()).toEqual(['mary-endless active', 'mary-later active']);
});

it('a walk passes over every page, with or without something to mark in it', async () => {
  await query(`insert into users (organization_id, id) values ('marked', 'robot')`);
  await query(`insert into sessions (organization_id, id, user_id, started_at, recorded_at, last_seen_at, expires_at)
    select 'marked', 'robot-' || n, 'robot', at, at, at, case when n between 2500 and 6500 then at + interval '1 minute' end
    from generate_series(1, 7000) n, lateral (select now() - interval '1 day' + n * interval '1 second') x (at)`);
  await query('analyze sessions');
  expect(await walk()).toBe(4_001);
});
