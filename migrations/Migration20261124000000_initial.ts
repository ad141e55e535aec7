import { Migration } from '@mikro-orm/migrations';

/** The first schema: organizations, users, sessions, refresh-token chains, terminations (which are the fences), grants, audit. */
export class Migration20261124000000_initial extends Migration {
  override up(): void {
    for (const part of [clock, people, sessions, terminations, grants, sessionStates, audit, machinery])
      this.addSql(part);
  }
}

// Every statement of the service reads time here and nowhere else, so that a test database can move it.
// Milliseconds are the interface's precision: a stored instant is exactly the one that is shown.
const clock = `
create function current_instant() returns timestamptz language sql volatile as
  $$ select date_trunc('milliseconds', clock_timestamp()) $$;`;

const people = `
create table organizations (
  id text primary key check (length(id) between 1 and 255),
  created_at timestamptz(3) not null default current_instant()
);
create table users (
  organization_id text not null references organizations (id),
  id text not null check (length(id) between 1 and 255),
  created_at timestamptz(3) not null default current_instant(),
  primary key (organization_id, id)
);`;

const sessions = `
create table sessions (
  organization_id text not null,
  id text not null check (length(id) between 1 and 255),
  user_id text not null,
  started_at timestamptz(3) not null,
  recorded_at timestamptz(3) not null,
  -- what a fence compares: a session is at or before the cutoff by its start or by having been recorded here by then
  fenced_from timestamptz(3) not null generated always as (least(started_at, recorded_at)) stored,
  last_seen_at timestamptz(3) not null,
  expires_at timestamptz(3),
  ended_at timestamptz(3),
  end_reason text check (end_reason in ('terminated', 'signed-out', 'support-access-ended', 'rejected')),
  termination_id uuid,
  sign_in_outcome text check (sign_in_outcome in ('pending', 'invalidated', 'already-dead')),
  ip_address text,
  user_agent text,
  client text,
  authentication_methods text[] not null default '{}',
  -- when each of the four details above was told last (ms since the epoch): a late event must not undo a later one
  told_at jsonb not null default '{}',
  support_access_grant_id uuid,
  parent_organization_id text,
  parent_session_id text,
  primary key (organization_id, id),
  foreign key (organization_id, user_id) references users (organization_id, id),
  constraint session_ended_with_reason check ((ended_at is null) = (end_reason is null)),
  constraint session_terminated_is_ended check (termination_id is null or ended_at is not null),
  constraint session_terminated_has_outcome check ((termination_id is null) = (sign_in_outcome is null)),
  constraint session_parent_is_whole check ((parent_organization_id is null) = (parent_session_id is null))
);
create index sessions_by_activity on sessions (organization_id, user_id, last_seen_at, id);
create index sessions_not_ended_by_activity on sessions (organization_id, user_id, last_seen_at, id) where ended_at is null;
create index sessions_by_id on sessions (id);
create index sessions_unclaimed_of_user on sessions (organization_id, user_id, id) where termination_id is null;
create index sessions_pending on sessions (termination_id, id) where sign_in_outcome = 'pending';
create index sessions_under_grant on sessions (support_access_grant_id) where support_access_grant_id is not null;
create index sessions_under_parent on sessions (parent_organization_id, parent_session_id) where parent_session_id is not null;

create table refresh_token_chains (
  organization_id text not null,
  id text not null check (length(id) between 1 and 255),
  session_id text not null,
  -- the session's, repeated: with it first, the chains of one user lie together in the index that serves the list
  user_id text not null,
  recorded_at timestamptz(3) not null,
  termination_id uuid,
  outcome text check (outcome in ('pending', 'invalidated', 'already-dead')),
  settled_at timestamptz(3),
  primary key (organization_id, id),
  foreign key (organization_id, session_id) references sessions (organization_id, id),
  constraint chain_terminated_has_outcome check ((termination_id is null) = (outcome is null)),
  constraint chain_settled_with_outcome check ((settled_at is not null) = (outcome is not null and outcome <> 'pending'))
);
create index chains_of_user on refresh_token_chains (organization_id, user_id, session_id) include (outcome);
create index chains_of_session on refresh_token_chains (organization_id, session_id);
create index chains_pending on refresh_token_chains (termination_id, id) where outcome = 'pending';`;

const terminations = `
-- A row is the operation and the fence: everything in its scope from at or before its cutoff is ended, but for what it keeps.
create table terminations (
  id uuid primary key default uuidv7(),
  organization_id text not null references organizations (id),
  scope_kind text not null check (scope_kind in ('session', 'user', 'organization', 'grant')),
  scope_id text not null,
  cutoff timestamptz(3) not null,
  kept_session_ids text[] not null default '{}',
  status text not null default 'running' check (status in ('running', 'completed')),
  requested_at timestamptz(3) not null,
  requested_by jsonb not null,
  reason text check (length(reason) <= 500),
  sessions_total integer not null default 0,
  sessions_pending integer not null default 0 check (sessions_pending between 0 and sessions_total),
  chains_total integer not null default 0,
  chains_confirmed integer not null default 0 check (chains_confirmed >= 0),
  chains_already_dead integer not null default 0 check (chains_already_dead >= 0),
  chains_pending integer not null default 0 check (chains_pending >= 0),
  sweep_finds integer not null default 0,
  resurfaced integer not null default 0,
  attempts integer not null default 0,
  last_error_class text check (last_error_class in ('unreachable', 'timeout', 'throttled', 'server-error', 'unauthorized', 'rejected', 'bad-response')),
  last_outcome_at timestamptz(3),
  progress_at timestamptz(3) not null,
  completed_at timestamptz(3),
  verified_at timestamptz(3),
  revision integer not null default 1,
  delivered_revision integer not null default 0,
  next_look_at timestamptz(3) not null,
  dispatch_after timestamptz(3) not null,
  dispatch_count integer not null default 0,
  constraint termination_counters_partition check (chains_total = chains_confirmed + chains_already_dead + chains_pending),
  constraint termination_completed_is_confirmed check (status = 'running' or (sessions_pending = 0 and chains_pending = 0)),
  constraint termination_completed_at check ((status = 'completed') = (completed_at is not null)),
  constraint termination_verified_is_completed check (verified_at is null or status = 'completed')
);
create index terminations_fence on terminations (organization_id, scope_kind, scope_id, cutoff);
create index terminations_newest on terminations (organization_id, id);
create index terminations_to_deliver on terminations (dispatch_after) where verified_at is null;`;

const grants = `
create table support_access_grants (
  id uuid primary key default uuidv7(),
  organization_id text not null references organizations (id),
  user_id text,
  reason text check (length(reason) <= 500),
  created_by jsonb not null,
  created_at timestamptz(3) not null,
  activate_before timestamptz(3) not null,
  voided_at timestamptz(3),
  starts_at timestamptz(3),
  expires_at timestamptz(3) not null,
  time_zone text,
  access_ended_at timestamptz(3),
  end_reason text check (end_reason in ('revoked', 'expired')),
  ended_by jsonb,
  sessions_cleared_at timestamptz(3),
  settled_at timestamptz(3),
  progress_at timestamptz(3) not null,
  revision integer not null default 1,
  delivered_revision integer not null default 0,
  next_look_at timestamptz(3) not null,
  dispatch_after timestamptz(3) not null,
  dispatch_count integer not null default 0,
  constraint grant_voided_never_starts check (voided_at is null or starts_at is null),
  constraint grant_ended_has_started check (access_ended_at is null or starts_at is not null),
  constraint grant_ended_with_reason check ((access_ended_at is null) = (end_reason is null)),
  constraint grant_cleared_is_ended check (sessions_cleared_at is null or access_ended_at is not null)
);
create unique index one_live_grant on support_access_grants (organization_id, coalesce(user_id, '')) where starts_at is not null and access_ended_at is null;
create index grants_newest on support_access_grants (organization_id, id) where starts_at is not null;
create index grants_to_deliver on support_access_grants (dispatch_after) where settled_at is null;`;

const sessionStates = `
-- The one definition of "is this session over, since when and why", read by lists, checks and authorisation alike:
-- what was stored, or the first fence that covers it, or the end of its grant, or the end of the session it was opened from.
create view session_states as
select s.*,
  coalesce(s.ended_at, least(case when fence.id is not null then greatest(fence.requested_at, s.fenced_from) end, under.ended_at, parent.ended_at)) as over_at,
  case
    when s.end_reason is not null then s.end_reason
    when fence.id is not null then 'terminated'
    when under.ended_at is not null then 'support-access-ended'
    when parent.ended_at is not null then 'terminated'
  end as over_reason,
  coalesce(s.termination_id, fence.id) as over_termination_id,
  least(s.expires_at, under.expires_at) as effective_expires_at
from sessions s
-- (Each condition stands inside its subquery, where the planner makes it a one-time filter: a row that needs no look-up costs none.)
left join lateral (
  select f.id, f.requested_at from (
    select t.id, t.requested_at from terminations t
      where s.termination_id is null and t.organization_id = s.organization_id and t.scope_kind = 'user' and t.scope_id = s.user_id
        and t.cutoff >= s.fenced_from and s.id <> all (t.kept_session_ids)
    union all
    select t.id, t.requested_at from terminations t
      where s.termination_id is null and t.organization_id = s.organization_id and t.scope_kind = 'organization' and t.scope_id = s.organization_id
        and t.cutoff >= s.fenced_from and s.id <> all (t.kept_session_ids)
  ) f order by f.requested_at limit 1
) fence on true
left join lateral (
  -- a grant that is unknown here, or not this person's, or never started, is no grant
  select g.expires_at, case
      when g.starts_at is null or g.user_id <> s.user_id then s.recorded_at
      else coalesce(g.access_ended_at, case when g.expires_at <= current_instant() then g.expires_at end)
    end as ended_at
  from (select 1) one left join support_access_grants g on g.organization_id = s.organization_id and g.id = s.support_access_grant_id
  where s.support_access_grant_id is not null
) under on true
left join lateral (
  select coalesce(p.ended_at, f.requested_at) as ended_at
  from (select 1) one
  left join sessions p on p.organization_id = s.parent_organization_id and p.id = s.parent_session_id
  left join lateral (
    select min(t.requested_at) as requested_at from terminations t
    where t.organization_id = s.parent_organization_id
      and ((t.scope_kind = 'user' and t.scope_id = s.user_id) or (t.scope_kind = 'organization' and t.scope_id = s.parent_organization_id))
      and t.cutoff >= coalesce(p.fenced_from, s.fenced_from) and s.parent_session_id <> all (t.kept_session_ids)
  ) f on true
  where s.parent_session_id is not null
) parent on true;`;

const audit = `
create table audit_events (
  id uuid primary key default uuidv7(),
  organization_id text not null references organizations (id),
  at timestamptz(3) not null,
  action text not null,
  actor jsonb not null,
  subject_kind text not null,
  subject_id text not null,
  reason text,
  details jsonb not null default '{}'
);
create index audit_newest on audit_events (organization_id, id);
create index audit_by_action on audit_events (organization_id, action, id);
create index audit_by_actor on audit_events (organization_id, (actor ->> 'id'), id);
create index audit_by_subject on audit_events (organization_id, subject_id, id);
create table audit_seals (
  organization_id text not null references organizations (id),
  sequence bigint not null check (sequence > 0),
  audit_event_id uuid not null unique references audit_events (id),
  hash text not null,
  previous_hash text not null,
  sealed_at timestamptz(3) not null default current_instant(),
  primary key (organization_id, sequence)
);
create table audit_unsealed (audit_event_id uuid primary key references audit_events (id), organization_id text not null);
create function queue_audit_event() returns trigger language plpgsql as
  $$ begin insert into audit_unsealed (audit_event_id, organization_id) values (new.id, new.organization_id); return null; end $$;
create trigger queue_audit_event after insert on audit_events for each row execute function queue_audit_event();
create function refuse_change() returns trigger language plpgsql as
  $$ begin raise exception 'the audit is append-only' using errcode = 'insufficient_privilege'; end $$;
create trigger audit_events_append_only before update or delete on audit_events for each row execute function refuse_change();
create trigger audit_events_no_truncate before truncate on audit_events for each statement execute function refuse_change();
create trigger audit_seals_append_only before update or delete on audit_seals for each row execute function refuse_change();
create trigger audit_seals_no_truncate before truncate on audit_seals for each statement execute function refuse_change();`;

const machinery = `
create table idempotency_keys (
  caller text not null,
  path text not null,
  key text not null,
  body_hash bytea not null,
  reservation uuid not null,
  created_at timestamptz(3) not null,
  reserved_until timestamptz(3) not null,
  resource_kind text,
  resource_id uuid,
  response_status integer,
  response_headers jsonb,
  response_body text,
  primary key (caller, path, key)
);
create index idempotency_keys_by_age on idempotency_keys (created_at);
create table seen_session_events (
  organization_id text not null,
  event_id text not null,
  seen_at timestamptz(3) not null,
  primary key (organization_id, event_id)
);
create index seen_session_events_by_age on seen_session_events (seen_at);
create table auth_module_slots (
  slot integer primary key,
  organization_id text,
  holder uuid,
  leased_until timestamptz not null default '-infinity'
);
-- How far the Auth Module's clock is ahead for certain: a call cannot arrive before it was sent.
create table auth_module_clock (
  only_row boolean primary key default true check (only_row),
  ahead_ms integer not null,
  observed_at timestamptz(3) not null
);
-- How far retention has walked; the worker that holds the row is the one at work.
create table retention_progress (
  only_row boolean primary key default true check (only_row),
  organization_id text not null default '',
  session_id text not null default '',
  next_step_at timestamptz(3) not null default '-infinity'
);
insert into retention_progress default values;
create table service_keys (name text primary key, key bytea not null);
insert into service_keys (name, key) values ('cursor', uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()));`;
