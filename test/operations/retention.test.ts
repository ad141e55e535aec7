import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { pino } from 'pino';
import { type Database, openDatabase } from '../../src/database.ts';
import { type Removed, retentionStep, startRetention } from '../../src/retention/retention.ts';
import { cloneDatabase, type TestDatabase } from '../harness/database.ts';

const day = 86_400_000;
const days = 90;
let test: TestDatabase;
let database: Database;
beforeAll(async () => {
  test = await cloneDatabase();
  database = await openDatabase({ url: test.url, applicationName: 'retention-test', poolSize: 4 });
});
afterAll(async () => {
  await database.close();
  await test.drop();
});

interface Sketch {
  ended_at?: string | null;
  end_reason?: string | null;
  expires_at?: string | null;
  termination_id?: string | null;
  sign_in_outcome?: string | null;
  parent?: string | null;
  grant?: string | null;
}

/** An old session with every detail and one chain. */
async function session(
  org: string,
  id: string,
  {
    ended_at = null,
    end_reason = null,
    expires_at = null,
    termination_id = null,
    sign_in_outcome = null,
    parent = null,
    grant = null,
  }: Sketch = {},
): Promise<void> {
  await test.query('insert into organizations (id) values ($1) on conflict do nothing', [org]);
  await test.query("insert into users (organization_id, id) values ($1, 'grace') on conflict do nothing", [org]);
  await test.query(
    `insert into sessions (organization_id, id, user_id, started_at, recorded_at, last_seen_at, ended_at, end_reason, expires_at, termination_id, sign_in_outcome,
       ip_address, user_agent, client, authentication_methods, parent_organization_id, parent_session_id, support_access_grant_id)
     values ($1, $2, 'grace', now(), now(), now(), $3, $4, $5, $6, $7, '192.0.2.7', 'agent', 'client', '{pwd}', case when $8::text is null then null else $1 end, $8, $9)`,
    [org, id, ended_at, end_reason, expires_at, termination_id, sign_in_outcome, parent, grant],
  );
  await test.query(
    `insert into refresh_token_chains (organization_id, id, session_id, user_id, recorded_at, termination_id, outcome, settled_at)
     values ($1, $2, $3, 'grace', now(), $4, $5, case when $5::text = 'invalidated' then now() end)`,
    [org, `chain-${id}`, id, termination_id, sign_in_outcome],
  );
}

async function termination(org: string, verified: boolean, scope: [string, string]): Promise<string> {
  await test.query('insert into organizations (id) values ($1) on conflict do nothing', [org]);
  const [row] = await test.query<{ id: string }>(
    `insert into terminations (organization_id, scope_kind, scope_id, cutoff, status, requested_at, requested_by, progress_at, completed_at, verified_at, next_look_at, dispatch_after)
     values ($1, $2, $3, '2000-01-01', $4, now(), '{}', now(), case when $5 then now() end, case when $5 then now() end, now(), now()) returning id`,
    [org, ...scope, verified ? 'completed' : 'running', verified],
  );
  return row?.id ?? '';
}

/** A whole walk, as the workers make it. */
async function walk(): Promise<Removed[]> {
  const steps: Removed[] = [];
  await test.query("update retention_progress set organization_id = '', session_id = '', next_step_at = '-infinity'");
  for (;;) {
    const removed = await retentionStep({ database, sessionRetentionDays: days });
    if (removed !== null) steps.push(removed);
    const [place] = await test.query<{ organization_id: string }>('select organization_id from retention_progress');
    if (place?.organization_id === '') return steps;
    await test.query("update retention_progress set next_step_at = '-infinity'");
  }
}
const idsOf = async (org: string) =>
  (await test.query<{ id: string }>('select id from sessions where organization_id = $1 order by id', [org])).map(
    ({ id }) => id,
  );
const chainsOf = async (org: string) =>
  (
    await test.query<{ id: string }>('select id from refresh_token_chains where organization_id = $1 order by id', [
      org,
    ])
  ).map(({ id }) => id);
const now = () => new Date().toISOString();
const signedOut = () => ({ ended_at: now(), end_reason: 'signed-out' });

it('sessions that signed out or expired go after the retention, with their chains, and not a day sooner', async () => {
  await session('old', 'signed-out', signedOut());
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
  await test.query(`insert into sessions (organization_id, id, user_id, started_at, recorded_at, last_seen_at, ended_at, end_reason)
    select 'many', 's' || n, 'grace', now(), now(), now(), now(), 'signed-out' from generate_series(1, 4500) n`);
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
