import pg from 'pg';
import { expect, it, vi } from 'vitest';
import { call } from '../harness/client.ts';
import { report, started } from '../harness/events.ts';
import { useStack } from '../harness/stack.ts';
import { observer } from '../harness/terminations.ts';

const stack = useStack({ worker: false });

/** Each list of this user does that first; all others are as they are. */
const makeListsOf = (userId: string, statement: string) =>
  stack.database.query(`create or replace function session_states_of (in_organization_id text, of_user_id text)
    returns setof session_states language plpgsql as $$ begin
      if of_user_id = '${userId}' then ${statement}; end if;
      return query select * from session_states s where s.organization_id = in_organization_id and s.user_id = of_user_id;
    end $$`);

async function listsOf(organizationId: string) {
  const token = await observer(stack, organizationId);
  return (userId: string) =>
    call(stack, 'GET', `/v1/organizations/${organizationId}/users/${userId}/sessions`, { token });
}

it('a list that takes long holds up nobody who asks while it runs', async () => {
  await report(
    stack,
    ['slow', 'quick'].map((userId) => started({ organizationId: 'patient', userId, sessionId: `of-${userId}` })),
  );
  // what a very large history would do, for one user alone
  await makeListsOf('slow', `perform pg_sleep(3600)`);
  const list = await listsOf('patient');
  const sleeping = () =>
    stack.database.query<{ pid: number }>(
      `select pid from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'`,
    );

  let slowAnswers = 0;
  const slow = [1, 2, 3].map((n) =>
    vi
      .waitFor(async () => expect(await sleeping()).toHaveLength(n - 1), { timeout: 10_000 })
      .then(() => list('slow'))
      .finally(() => (slowAnswers += 1)),
  );
  await vi.waitFor(async () => expect(await sleeping()).toHaveLength(3), { timeout: 10_000 });
  const quick = await Promise.all(Array.from({ length: 20 }, () => list('quick')));
  expect(quick.map(({ status }) => status)).toEqual(quick.map(() => 200));
  expect(slowAnswers).toBe(0);

  await stack.database.query(
    `select pg_cancel_backend(pid) from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'`,
  );
  await Promise.all(slow);
});

it('a list that fails by itself fails nobody who shares its statement', async () => {
  await report(stack, [started({ organizationId: 'sharing', userId: 'quick', sessionId: 'of-quick' })]);
  // what a statement that takes too long is told
  await makeListsOf('broken', `raise exception 'canceling statement due to statement timeout' using errcode = '57014'`);
  const list = await listsOf('sharing');
  const answers = await Promise.all(Array.from({ length: 40 }, (_, n) => list(n % 4 === 1 ? 'broken' : 'quick')));
  expect(answers.map(({ status }) => status)).toEqual(answers.map((_, n) => (n % 4 === 1 ? 503 : 200)));
});

it('a list that takes more than five seconds is refused with the hint to narrow it, and leaves its connection as it was', async () => {
  await report(stack, [started({ organizationId: 'endless', userId: 'quick', sessionId: 'of-quick' })]);
  await makeListsOf('endless', `perform pg_sleep(3600)`);
  const list = await listsOf('endless');
  const began = performance.now();
  const { status, body, headers } = await list('endless');
  expect({ status, code: body['code'], retryAfter: headers.get('retry-after') }).toEqual({
    status: 503,
    code: 'database-unavailable',
    retryAfter: '5',
  });
  expect(body['detail']).toMatch(/narrow/);
  expect(performance.now() - began).toBeGreaterThan(4_500);
  expect((await list('quick')).status).toBe(200);
  expect(
    await stack.database.query(
      `select 1 from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'`,
    ),
  ).toEqual([]);
});

it('so is the audit, whatever holds it up', async () => {
  const holder = new pg.Client({ connectionString: stack.database.url });
  await holder.connect();
  try {
    await holder.query('begin; lock table audit_seals in access exclusive mode');
    const token = await observer(stack, 'endless');
    const answer = await call(stack, 'GET', '/v1/organizations/endless/audit-events', { token });
    expect({ status: answer.status, code: answer.body['code'] }).toEqual({ status: 503, code: 'database-unavailable' });
  } finally {
    await holder.end();
  }
});
