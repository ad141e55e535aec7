import { expect, it } from 'vitest';
import {
  chainsOf,
  confirmChains,
  day,
  days,
  idsOf,
  now,
  session,
  signedOut,
  termination,
  test,
  useRetention,
  walk,
} from './use-retention.ts';

useRetention();

it('sessions that expired, or ended with every chain confirmed dead, go after the retention, and not a day sooner', async () => {
  await session('old', 'signed-out', signedOut());
  await confirmChains('old', 'signed-out');
  await session('old', 'expired', { expires_at: now() });
  await session('old', 'active', { expires_at: new Date(Date.now() + 400 * day).toISOString() });
  await session('old', 'without-end');
  await test.moveClock((days - 1) * day);
  await walk();
  expect(await idsOf('old')).toHaveLength(4);
  await test.moveClock(2 * day);
  const steps = await walk();
  expect(steps.reduce((sum, step) => sum + step.sessions, 0)).toBe(2);
  expect(await idsOf('old')).toEqual(['active', 'without-end']);
  expect(await chainsOf('old')).toEqual(['chain-active', 'chain-without-end']);
  await test.moveClock(-(days + 1) * day);
});

it('of a signed-out session with a chain that is not confirmed dead the bare ids stay, and the details go', async () => {
  await session('bare', 'signed-out', signedOut());
  await test.moveClock((days + 1) * day);
  expect((await walk()).reduce((sum, step) => sum + step.endedSessionsCleared, 0)).toBe(1);
  expect(await chainsOf('bare')).toEqual(['chain-signed-out']);
  expect(
    await test.query(
      'select id, ip_address, user_agent, client, authentication_methods from sessions where organization_id = $1',
      ['bare'],
    ),
  ).toEqual([{ id: 'signed-out', ip_address: null, user_agent: null, client: null, authentication_methods: [] }]);
  expect((await walk()).reduce((sum, step) => sum + step.endedSessionsCleared, 0)).toBe(0);
  await test.moveClock(-(days + 1) * day);
});

it('what a completed termination covers stays until it is verified', async () => {
  const open = await termination('unverified', true, ['user', 'grace']);
  await session('unverified', 'signed-out', signedOut());
  await session('unverified', 'terminated', {
    ended_at: now(),
    end_reason: 'terminated',
    termination_id: open,
    sign_in_outcome: 'invalidated',
  });
  await confirmChains('unverified', 'signed-out');
  await test.query('update terminations set verified_at = null where id = $1', [open]);
  await test.moveClock((days + 1) * day);
  await walk();
  const rows = await test.query<{ user_agent: string }>('select user_agent from sessions where organization_id = $1', [
    'unverified',
  ]);
  expect(rows).toEqual([{ user_agent: 'agent' }, { user_agent: 'agent' }]);
  expect(await chainsOf('unverified')).toHaveLength(2);
  await test.query('update terminations set verified_at = current_instant() where id = $1', [open]);
  await walk();
  expect(await idsOf('unverified')).toEqual(['terminated']);
  expect(await chainsOf('unverified')).toEqual([]);
  await test.moveClock(-(days + 1) * day);
});

it('of a terminated session the bare row stays for ever; details and chains go, once the termination is verified', async () => {
  const verified = await termination('terminated', true, ['session', 'gone']);
  const running = await termination('terminated', false, ['session', 'pending']);
  await session('terminated', 'gone', {
    ended_at: now(),
    end_reason: 'terminated',
    termination_id: verified,
    sign_in_outcome: 'invalidated',
  });
  await session('terminated', 'pending', {
    ended_at: now(),
    end_reason: 'terminated',
    termination_id: running,
    sign_in_outcome: 'invalidated',
  });
  await test.moveClock((days + 1) * day);
  await walk();
  const details = await test.query(
    'select id, ip_address, user_agent, client, authentication_methods, end_reason from sessions where organization_id = $1 order by id',
    ['terminated'],
  );
  expect(details).toEqual([
    {
      id: 'gone',
      ip_address: null,
      user_agent: null,
      client: null,
      authentication_methods: [],
      end_reason: 'terminated',
    },
    {
      id: 'pending',
      ip_address: '192.0.2.7',
      user_agent: 'agent',
      client: 'client',
      authentication_methods: ['pwd'],
      end_reason: 'terminated',
    },
  ]);
  expect(await chainsOf('terminated')).toEqual(['chain-pending']);
  expect(await test.query('select 1 from terminations where organization_id = $1', ['terminated'])).toHaveLength(2);
  // nothing is left to do: a second walk touches nothing
  expect((await walk()).reduce((sum, step) => sum + step.terminatedSessionsCleared, 0)).toBe(0);
  await test.moveClock(-(days + 1) * day);
});

it('what an open termination of its scope, an unsettled grant or an opened session may still need is kept', async () => {
  await session('needed', 'fenced', signedOut());
  await termination('needed', false, ['user', 'grace']);
  await session('whole', 'of-the-organization', signedOut());
  await termination('whole', false, ['organization', 'whole']);
  const [grant] = await test.query<{ id: string }>(
    `insert into support_access_grants (organization_id, created_by, created_at, activate_before, starts_at, expires_at, progress_at, next_look_at, dispatch_after)
     values ('whole', '{}', now(), now(), now(), now() + interval '1 day', now(), now(), now()) returning id`,
  );
  await session('granted', 'under-a-grant', { ...signedOut(), grant: grant?.id ?? null });
  await session('family', 'parent', signedOut());
  await session('family', 'support', { parent: 'parent' });
  await test.moveClock((days + 1) * day);
  await walk();
  for (const [org, id] of [
    ['needed', 'fenced'],
    ['whole', 'of-the-organization'],
    ['granted', 'under-a-grant'],
    ['family', 'parent'],
  ] as const)
    expect(await idsOf(org), id).toContain(id);
  await test.moveClock(-(days + 1) * day);
});
