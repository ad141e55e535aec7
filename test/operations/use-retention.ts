/** Old rows of every kind, in a database whose clock moves, and the walk of retention over them. */
import { afterAll, beforeAll } from 'vitest';
import { type Database, openDatabase } from '../../src/database.ts';
import { type Removed, retentionStep } from '../../src/retention/retention.ts';
import { cloneDatabase, type TestDatabase } from '../harness/database.ts';

export const day = 86_400_000;
export const days = 90;
export let test: TestDatabase;
export let database: Database;
export function useRetention(): void {
  beforeAll(async () => {
    test = await cloneDatabase();
    database = await openDatabase({ url: test.url, applicationName: 'retention-test', poolSize: 4 });
  });
  afterAll(async () => {
    await database.close();
    await test.drop();
  });
}

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
export async function session(
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

export async function termination(org: string, verified: boolean, scope: [string, string]): Promise<string> {
  await test.query('insert into organizations (id) values ($1) on conflict do nothing', [org]);
  const [row] = await test.query<{ id: string }>(
    `insert into terminations (organization_id, scope_kind, scope_id, cutoff, status, requested_at, requested_by, progress_at, completed_at, verified_at, next_look_at, dispatch_after)
     values ($1, $2, $3, '2000-01-01', $4, now(), '{}', now(), case when $5 then now() end, case when $5 then now() end, now(), now()) returning id`,
    [org, ...scope, verified ? 'completed' : 'running', verified],
  );
  return row?.id ?? '';
}

/** The Auth Module confirmed every chain of the session dead, to a termination that is verified. */
export async function confirmChains(org: string, id: string): Promise<void> {
  const confirmedTo = await termination(org, true, ['session', `another-than-${id}`]);
  await test.query(
    `update refresh_token_chains set termination_id = $3, outcome = 'invalidated', settled_at = now() where organization_id = $1 and session_id = $2`,
    [org, id, confirmedTo],
  );
}

/** A whole walk, as the workers make it. */
export async function walk(): Promise<Removed[]> {
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
export const idsOf = async (org: string) =>
  (await test.query<{ id: string }>('select id from sessions where organization_id = $1 order by id', [org])).map(
    ({ id }) => id,
  );
export const chainsOf = async (org: string) =>
  (
    await test.query<{ id: string }>('select id from refresh_token_chains where organization_id = $1 order by id', [
      org,
    ])
  ).map(({ id }) => id);
export const now = () => new Date().toISOString();
export const signedOut = () => ({ ended_at: now(), end_reason: 'signed-out' });
