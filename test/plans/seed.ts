/** A database in which a million rows of every large table match nothing that is asked. */
import type { TestDatabase } from '../harness/database.ts';

export const rows = Number(process.env['PLAN_ROWS'] ?? 1_000_000);
const thousandth = (n: number) => Math.round((rows * n) / 1_000);

const clock = `now() - interval '10 days'`;
const someone = `'{"kind":"system","id":"busy","sessionId":null,"supportAccessGrantId":null}'`;

const organizations = `
insert into organizations (id) values ('acme'), ('robots'), ('open') on conflict do nothing;
insert into organizations (id) select 'org-' || n from generate_series(1, ${thousandth(30)}) n;
insert into users (organization_id, id) select 'robots', 'user-' || n from generate_series(0, ${thousandth(300)}) n;
insert into users (organization_id, id) values ('robots', 'robot'), ('acme', 'user-of-acme');`;

/** Of acme: ended by terminations that are verified. Of robots: a robot's expired ones, and everybody's active ones. */
const sessions = `
insert into sessions (organization_id, id, user_id, started_at, first_started_at, recorded_at, last_seen_at, expires_at, ended_at, end_reason, termination_id, sign_in_outcome)
  select 'acme', 'old-' || n, case when n % 2 = 0 then 'user-of-acme' else 'user-' || n end, ${clock}, ${clock}, ${clock}, ${clock}, null, ${clock}, 'terminated', uuidv7(), 'invalidated'
  from generate_series(1, ${thousandth(600)}) n;
insert into sessions (organization_id, id, user_id, started_at, first_started_at, recorded_at, last_seen_at, expires_at, expiry_marked_at)
  select 'robots', 'expired-' || n, 'robot', at, at, at, at, at + interval '1 hour', at + interval '90 minutes'
  from generate_series(1, ${thousandth(200)}) n, lateral (select now() - interval '2 hours' - n * interval '30 seconds') x (at);
insert into sessions (organization_id, id, user_id, started_at, first_started_at, recorded_at, last_seen_at, expires_at)
  select 'robots', 'active-' || n, 'user-' || n % 10000, ${clock}, ${clock}, ${clock}, ${clock}, now() + interval '4 days' from generate_series(1, ${thousandth(200)}) n;
insert into sessions (organization_id, id, user_id, started_at, first_started_at, recorded_at, last_seen_at, expires_at)
  select 'robots', 'live-' || n, 'robot', ${clock}, ${clock}, ${clock}, ${clock}, now() + interval '4 days' from generate_series(1, 5) n;`;

const chains = `
insert into refresh_token_chains (organization_id, id, session_id, user_id, recorded_at, termination_id, outcome, settled_at)
  select organization_id, 'chain-of-' || id, id, user_id, recorded_at, termination_id, sign_in_outcome, ended_at from sessions where organization_id = 'robots';`;

/** Verified ones; fences of before; and of open, such as are not verified and of which none is due. */
const terminations = `
insert into terminations (organization_id, scope_kind, scope_id, cutoff, status, requested_at, requested_by, progress_at, completed_at, verified_at, revision, delivered_revision, next_look_at, dispatch_after)
  select 'acme', case when n % 10 = 0 then 'organization' when n % 10 = 1 then 'user' else 'session' end,
    case when n % 10 = 0 then 'acme' when n % 10 = 1 then (array['admin', 'user-of-acme'])[1 + n % 2] else 'old-' || n end,
    at, 'completed', at, ${someone}, at, at, at, 1, 1, at, at
  from generate_series(1, ${thousandth(950)}) n, lateral (select ${clock} - interval '1 day' - n * interval '1 second') x (at);
insert into terminations (organization_id, scope_kind, scope_id, cutoff, status, requested_at, requested_by, progress_at, completed_at, revision, delivered_revision, next_look_at, dispatch_after)
  select 'open', 'session', 'session-' || n, now(), 'completed', now(), ${someone}, now(), now(), 1, 1, now() + interval '1 day', now() + interval '1 day' from generate_series(1, ${thousandth(50)}) n;`;

/** Past ones, for anybody and for one; live ones, none of which is due; and such as never came alive. */
const grants = `
insert into support_access_grants (organization_id, user_id, created_by, created_at, activate_before, starts_at, expires_at, access_ended_at, end_reason, sessions_cleared_at, settled_at, progress_at, next_look_at, dispatch_after, revision, delivered_revision)
  select 'acme', case when n % 2 = 0 then 'insider' end, ${someone}, at, at, at, at, at, 'expired', at, at, at, at, at, 1, 1
  from generate_series(1, ${thousandth(100)}) n, lateral (select ${clock} - n * interval '1 second') x (at);
insert into support_access_grants (organization_id, user_id, created_by, created_at, activate_before, starts_at, expires_at, progress_at, next_look_at, dispatch_after, revision, delivered_revision)
  select 'open', 'staff-' || n, ${someone}, now(), now(), now(), now() + interval '9 days', now(), now() + interval '9 days', now() + interval '9 days', 1, 1 from generate_series(1, ${thousandth(50)}) n;
insert into support_access_grants (organization_id, created_by, created_at, activate_before, voided_at, settled_at, expires_at, progress_at, next_look_at, dispatch_after)
  select 'open', ${someone}, now(), now(), now(), now(), now() + interval '9 days', now(), now(), now() from generate_series(1, ${thousandth(50)}) n;`;

const audit = `
insert into audit_events (organization_id, at, action, actor, subject_kind, subject_id)
  select 'acme', ${clock} - n * interval '1 second', 'termination.requested', ${someone}, 'session', 'old-' || n from generate_series(1, ${rows}) n;
insert into audit_seals (organization_id, sequence, audit_event_id, hash, previous_hash)
  select 'acme', row_number() over (), id, 'h', 'h' from (select id from audit_events where organization_id = 'acme' limit ${thousandth(200)}) e;`;

const seen = `
insert into seen_session_events (organization_id, event_id, seen_at) select 'acme', 'event-' || n, now() from generate_series(1, ${thousandth(300)}) n;
insert into idempotency_keys (caller, path, key, body_hash, reservation, created_at, reserved_until)
  select 'caller', '/path', 'key-' || n, '', gen_random_uuid(), now(), now() from generate_series(1, ${thousandth(200)}) n;`;

/** What two connections plant at the same time, in parts that need nothing of each other. */
const parts = [
  { tables: ['sessions', 'refresh_token_chains'], inserts: [sessions, chains] },
  {
    tables: [
      'terminations',
      'support_access_grants',
      'audit_events',
      'audit_seals',
      'seen_session_events',
      'idempotency_keys',
    ],
    inserts: [organizations, terminations, grants, audit, seen],
  },
];

/** The indexes are built at the end, which takes a third of the time. Triggers and references are left out: the rows are consistent. */
export async function seed({ query }: TestDatabase): Promise<void> {
  await Promise.all(
    parts.map(async ({ tables, inserts }) => {
      const indexes = await query<{ name: string; definition: string }>(
        `select indexrelid::regclass::text as name, pg_get_indexdef(indexrelid) as definition from pg_index
         where indrelid::regclass::text = any ($1) and not exists (select from pg_constraint where conindid = indexrelid)`,
        [tables],
      );
      await query(`begin; set local session_replication_role = replica; set local maintenance_work_mem = '512MB';
        ${indexes.map(({ name }) => `drop index ${name};`).join('\n')}
        ${inserts.join('\n')}
        ${indexes.map(({ definition }) => `${definition};`).join('\n')}
        commit`);
    }),
  );
  await query('vacuum analyze');
}
