import { Migration } from '@mikro-orm/migrations';

/**
 * What lists are ordered by, and what takes an expired session out of the indexes of active ones: two columns of
 * `sessions`, kept true by triggers, so that the previous version keeps them true as well without knowing them.
 */
export class Migration20261128120000_lists_by_start extends Migration {
  override up(): void {
    this.addSql(`set local lock_timeout = '2s'`);
    this.addSql(columns);
    this.addSql(triggers);
    this.addSql(progress);
    this.addSql(`create or replace view session_states as ${states(anySessions)};`);
    this.addSql(`
      -- a single statement that the planner puts into the one that calls it, like a view with parameters; and parsed once, like a
      -- view, so that a column that "sessions" gets later is none of its result
      create or replace function session_states_of (in_organization_id text, of_user_id text) returns setof session_states language sql stable
      begin atomic
        ${states(sessionsOfOneUser)} where s.organization_id = in_organization_id and s.user_id = of_user_id;
      end;`);
  }
}

// A constant default is no rewrite of the table. A row of before has it until the next migration gives it its start; a new
// one never: the trigger goes before.
const columns = `
alter table sessions
  -- the start as first recorded, which no later event changes: what lists are ordered by and cursors rest on
  add column first_started_at timestamptz(3) not null default '-infinity',
  -- when it left the indexes of active sessions, for it had expired; never asked for whether it is expired: that is the clock's
  add column expiry_marked_at timestamptz(3),
  -- room on each page for the next version of its rows: a refresh then touches no index (HOT)
  set (fillfactor = 85);`;

const triggers = `
create function keep_first_start() returns trigger language plpgsql as
  $$ begin new.first_started_at := new.started_at; return new; end $$;
create trigger sessions_first_start before insert on sessions for each row execute function keep_first_start();
create function refuse_other_first_start() returns trigger language plpgsql as
  $$ begin raise exception 'the first start of a session never changes' using errcode = 'integrity_constraint_violation'; end $$;
create trigger sessions_first_start_stays before update of first_started_at on sessions for each row
  when (old.first_started_at <> '-infinity' and new.first_started_at <> old.first_started_at) execute function refuse_other_first_start();
create function unmark_expiry() returns trigger language plpgsql as
  $$ begin new.expiry_marked_at := null; return new; end $$;
-- another end: an expired session may be back
create trigger sessions_other_expiry before update of expires_at on sessions for each row
  when (old.expiry_marked_at is not null and new.expires_at is distinct from old.expires_at) execute function unmark_expiry();`;

// How far the marking of expired sessions has walked; the worker that holds the row is the one at work.
const progress = `
create table expiry_progress (
  only_row boolean primary key default true check (only_row),
  organization_id text not null default '',
  user_id text not null default '',
  first_started_at timestamptz(3) not null default '-infinity',
  session_id text not null default '',
  next_step_at timestamptz(3) not null default '-infinity'
);
insert into expiry_progress default values;`;

// as they stood when the view was made: a view that is replaced gets new columns at its end only
const columnsOfBefore = `s.organization_id, s.id, s.user_id, s.started_at, s.recorded_at, s.fenced_from, s.last_seen_at, s.expires_at, s.ended_at, s.end_reason,
  s.termination_id, s.sign_in_outcome, s.ip_address, s.user_agent, s.client, s.authentication_methods, s.told_at, s.support_access_grant_id,
  s.parent_organization_id, s.parent_session_id`;

interface Scope {
  kind: 'user' | 'organization';
  /** The column of the session that names the scope. */
  column: string;
}

const user: Scope = { kind: 'user', column: 's.user_id' };
const organization: Scope = { kind: 'organization', column: 's.organization_id' };

interface Reading {
  from: string;
  /** What must hold of a row, cheaply, for a fence of this scope to be looked for. */
  guard: (scope: Scope) => string;
}

const anySessions: Reading = { from: 'sessions s', guard: () => '' };

const latestFence = (kind: string, scopeId: string) =>
  `(select max(l.cutoff) from terminations l where l.organization_id = in_organization_id and l.scope_kind = '${kind}' and l.scope_id = ${scopeId}) as of_${kind}`;
// "offset 0" keeps the planner from asking it anew for each row
const sessionsOfOneUser: Reading = {
  from: `(select ${latestFence('user', 'of_user_id')}, ${latestFence('organization', 'in_organization_id')} offset 0) latest cross join sessions s`,
  guard: ({ kind }) => `s.fenced_from <= latest.of_${kind} and `,
};

const fencesOf = ({ kind, column }: Scope, guard: string) => `
  select t.id, case when s.fenced_from <= t.requested_at then t.requested_at else t.cutoff end as ended_at from terminations t
  where s.termination_id is null and ${guard}t.organization_id = s.organization_id and t.scope_kind = '${kind}' and t.scope_id = ${column}
    and t.cutoff >= s.fenced_from and s.id <> all (t.kept_session_ids)`;

/** Each condition stands inside its subquery, where the planner makes it a one-time filter: a row that needs no look-up costs none. */
const states = ({ from, guard }: Reading) => `
-- The one definition of "is this session over, since when and why", read by lists, checks and authorisation alike:
-- what was stored, or the first fence that covers it (since its request, or since the join that raised its cutoff), or the end
-- of its grant, or the end of the session it was opened from.
select ${columnsOfBefore},
  coalesce(s.ended_at, least(fence.ended_at, under.ended_at, parent.ended_at)) as over_at,
  case
    when s.end_reason is not null then s.end_reason
    when fence.id is not null then 'terminated'
    when under.ended_at is not null then 'support-access-ended'
    when parent.ended_at is not null then 'terminated'
  end as over_reason,
  coalesce(s.termination_id, fence.id) as over_termination_id,
  least(s.expires_at, under.expires_at) as effective_expires_at,
  s.first_started_at, s.expiry_marked_at
from ${from}
left join lateral (
  select f.id, f.ended_at from (${fencesOf(user, guard(user))}
    union all${fencesOf(organization, guard(organization))}
  ) f order by f.ended_at limit 1
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
  select coalesce(p.ended_at, f.ended_at) as ended_at
  from (select 1) one
  left join sessions p on p.organization_id = s.parent_organization_id and p.id = s.parent_session_id
  left join lateral (
    select min(case when coalesce(p.fenced_from, s.fenced_from) <= t.requested_at then t.requested_at else t.cutoff end) as ended_at from terminations t
    where t.organization_id = s.parent_organization_id
      and ((t.scope_kind = 'user' and t.scope_id = s.user_id) or (t.scope_kind = 'organization' and t.scope_id = s.parent_organization_id))
      and t.cutoff >= coalesce(p.fenced_from, s.fenced_from) and s.parent_session_id <> all (t.kept_session_ids)
  ) f on true
  where s.parent_session_id is not null
) parent on true`;
