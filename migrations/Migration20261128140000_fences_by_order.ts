import { Migration } from '@mikro-orm/migrations';

/**
 * A fence covers what is recorded when it is decided by the order of recording and deciding, and not by a clock, which may
 * be set back or may have been ahead. A sequence gives both their place in one order: who has committed before a decision
 * holds its locks has the lower number.
 */
export class Migration20261128140000_fences_by_order extends Migration {
  override up(): void {
    this.addSql(`set local lock_timeout = '2s'`);
    for (const part of [order, sessions, terminations, law, joinsOfThePreviousVersion]) this.addSql(part);
    this.addSql('drop function session_states_of');
    this.addSql('drop view session_states');
    this.addSql(`create view session_states as ${states(anySessions)};`);
    this.addSql(`
      -- a single statement that the planner puts into the one that calls it, like a view with parameters; and parsed once, like a
      -- view, so that a column that "sessions" gets later is none of its result
      create function session_states_of (in_organization_id text, of_user_id text) returns setof session_states language sql stable
      begin atomic
        ${states(sessionsOfOneUser)} where s.organization_id = in_organization_id and s.user_id = of_user_id;
      end;`);
  }
}

const order = `
create sequence record_order;
-- by every role: processes write between this migration and what "ops/grants.sql" grants
grant usage on sequence record_order to public;`;

const sessions = `
-- 0: recorded before there was an order
alter table sessions add column recorded_order bigint not null default 0;
alter table sessions alter column recorded_order set default nextval('record_order');`;

const terminations = `
-- the highest: decided before there was an order, and covers by its cutoff alone
alter table terminations add column decided_order bigint not null default 9223372036854775807;
alter table terminations alter column decided_order set default nextval('record_order');
alter table terminations
  -- the deciding process's own instant and two seconds: how far the fence reaches where the database's clock was ahead
  add column holds_until timestamptz(3) not null default 'infinity',
  add column decided_at timestamptz(3),
  -- what the fence was before each join, oldest first: what a decision covered first has ended with that one
  add column earlier_decisions jsonb not null default '[]';`;

const law = `
-- How far a fence reaches for what was not recorded when it was decided. A clock that has shown less than the cutoff
-- since then was ahead when it was decided: there the fence holds only as long as the deciding process's own clock says.
create function fence_reach (cutoff timestamptz, holds_until timestamptz, shown_since timestamptz) returns timestamptz
language sql immutable parallel safe
return case when shown_since < cutoff then least(cutoff, holds_until) else cutoff end;

-- Whether a fence covers a session, kept or not. (The first condition is the index's; no decision's cutoff is before what is recorded then.)
create function fence_covers (cutoff timestamptz, holds_until timestamptz, decided_order bigint,
  fenced_from timestamptz, started_at timestamptz, recorded_at timestamptz, recorded_order bigint) returns boolean
language sql immutable parallel safe
return fenced_from <= cutoff and (recorded_order < decided_order or started_at <= fence_reach(cutoff, holds_until, recorded_at));

-- When a decision ended a session that it was the first to cover. Before this was kept, by the request or the last join.
create function decision_ended_at (decided_at timestamptz, requested_at timestamptz, cutoff timestamptz, fenced_from timestamptz) returns timestamptz
language sql immutable parallel safe
return greatest(coalesce(decided_at, case when fenced_from <= requested_at then requested_at else cutoff end), fenced_from);

-- The end that the first of a termination's earlier decisions gave to a session; null where none of them covers it.
create function earlier_end (earlier_decisions jsonb, requested_at timestamptz,
  fenced_from timestamptz, started_at timestamptz, recorded_at timestamptz, recorded_order bigint) returns timestamptz
language sql stable parallel safe
begin atomic
  select decision_ended_at(d.decided_at, requested_at, d.cutoff, fenced_from)
  from rows from (jsonb_to_recordset(earlier_decisions) as (cutoff timestamptz, holds_until timestamptz, decided_order bigint, decided_at timestamptz))
    with ordinality as d (cutoff, holds_until, decided_order, decided_at, n)
  where fence_covers(d.cutoff, d.holds_until, d.decided_order, fenced_from, started_at, recorded_at, recorded_order)
  order by d.n limit 1;
end;

-- Since when a termination has ended a session that it covers: since the first of its decisions that covered it, so that no join moves an end.
create function fence_ended_at (earlier_decisions jsonb, decided_at timestamptz, requested_at timestamptz, cutoff timestamptz,
  fenced_from timestamptz, started_at timestamptz, recorded_at timestamptz, recorded_order bigint) returns timestamptz
language sql stable parallel safe
return case when earlier_decisions = '[]' then decision_ended_at(decided_at, requested_at, cutoff, fenced_from)
  else coalesce(earlier_end(earlier_decisions, requested_at, fenced_from, started_at, recorded_at, recorded_order), decision_ended_at(decided_at, requested_at, cutoff, fenced_from)) end;

create function decision_of (cutoff timestamptz, holds_until timestamptz, decided_order bigint, decided_at timestamptz) returns jsonb
language sql stable parallel safe
return jsonb_build_object('cutoff', cutoff, 'holds_until', holds_until, 'decided_order', decided_order, 'decided_at', decided_at);`;

const joinsOfThePreviousVersion = `
-- A process of the previous version that joins a termination raises its cutoff and knows nothing of the order.
create function note_join () returns trigger language plpgsql as $$
begin
  new.earlier_decisions := old.earlier_decisions || decision_of(old.cutoff, old.holds_until, old.decided_order, old.decided_at);
  new.decided_order := nextval('record_order');
  new.holds_until := 'infinity';
  new.decided_at := new.cutoff;
  return new;
end $$;
create trigger note_join before update of cutoff on terminations for each row
  when (new.cutoff > old.cutoff and new.decided_order = old.decided_order) execute function note_join();`;

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

/** Of a session, or of what stands for one: what a fence looks at. */
const stamps = (column: (name: string) => string) =>
  ['fenced_from', 'started_at', 'recorded_at', 'recorded_order'].map(column).join(', ');
const covers = (of: string) => `fence_covers(t.cutoff, t.holds_until, t.decided_order, ${of})`;
const endedAt = (of: string) => `fence_ended_at(t.earlier_decisions, t.decided_at, t.requested_at, t.cutoff, ${of})`;

const ofSession = stamps((name) => `s.${name}`);
/** A parent without a row is judged by its child's time. */
const ofParent = stamps((name) => `coalesce(p.${name}, s.${name})`);

const fencesOf = ({ kind, column }: Scope, guard: string) => `
  select t.id, ${endedAt(ofSession)} as ended_at from terminations t
  where s.termination_id is null and ${guard}t.organization_id = s.organization_id and t.scope_kind = '${kind}' and t.scope_id = ${column}
    and ${covers(ofSession)} and s.id <> all (t.kept_session_ids)`;

/** Each condition stands inside its subquery, where the planner makes it a one-time filter: a row that needs no look-up costs none. */
const states = ({ from, guard }: Reading) => `
-- The one definition of "is this session over, since when and why", read by lists, checks and authorisation alike:
-- what was stored, or the first fence that covers it (since the first of its decisions that did), or the end
-- of its grant, or the end of the session it was opened from.
select s.*,
  coalesce(s.ended_at, least(fence.ended_at, under.ended_at, parent.ended_at)) as over_at,
  case
    when s.end_reason is not null then s.end_reason
    when fence.id is not null then 'terminated'
    when under.ended_at is not null then 'support-access-ended'
    when parent.ended_at is not null then 'terminated'
  end as over_reason,
  coalesce(s.termination_id, fence.id) as over_termination_id,
  least(s.expires_at, under.expires_at) as effective_expires_at
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
  -- a parent that is somebody else's is none
  select case when p.user_id <> s.user_id then s.recorded_at else coalesce(p.ended_at, f.ended_at) end as ended_at
  from (select 1) one
  left join sessions p on p.organization_id = s.parent_organization_id and p.id = s.parent_session_id
  left join lateral (
    select min(${endedAt(ofParent)}) as ended_at from terminations t
    where t.organization_id = s.parent_organization_id
      and ((t.scope_kind = 'user' and t.scope_id = s.user_id) or (t.scope_kind = 'organization' and t.scope_id = s.parent_organization_id))
      and ${covers(ofParent)} and s.parent_session_id <> all (t.kept_session_ids)
  ) f on true
  where s.parent_session_id is not null
) parent on true`;
