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
  expect(answers.map(({ status }) => status)).toEqual(answers.map((_, n) => (n % 4 === 1 ? 500 : 200)));
});
