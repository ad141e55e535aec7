import { Migration } from '@mikro-orm/migrations';

/** An end that was shown stays: what a fence covers only since it was joined has ended when that was, not before it was seen active. */
export class Migration20261126000002_ends_by_joined_fences extends Migration {
  override up(): void {
    this.addSql(sessionStates);
  }
}

const sessionStates = `
-- The one definition of "is this session over, since when and why", read by lists, checks and authorisation alike:
-- what was stored, or the first fence that covers it (since its request, or since the join that raised its cutoff), or the end
-- of its grant, or the end of the session it was opened from.
create or replace view session_states as
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
from sessions s
-- (Each condition stands inside its subquery, where the planner makes it a one-time filter: a row that needs no look-up costs none.)
left join lateral (
  select f.id, f.ended_at from (
    select t.id, case when s.fenced_from <= t.requested_at then t.requested_at else t.cutoff end as ended_at from terminations t
      where s.termination_id is null and t.organization_id = s.organization_id and t.scope_kind = 'user' and t.scope_id = s.user_id
        and t.cutoff >= s.fenced_from and s.id <> all (t.kept_session_ids)
    union all
    select t.id, case when s.fenced_from <= t.requested_at then t.requested_at else t.cutoff end as ended_at from terminations t
      where s.termination_id is null and t.organization_id = s.organization_id and t.scope_kind = 'organization' and t.scope_id = s.organization_id
        and t.cutoff >= s.fenced_from and s.id <> all (t.kept_session_ids)
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
) parent on true;`;
