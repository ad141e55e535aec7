import { sql } from 'kysely';
import { type Queryable, row } from '../../database.ts';
import type { GrantEndReason, GrantStatus, GrantView } from '../../rules/support-access-grant.ts';
import { type RecordedActor, shownActor, stalledAfterSeconds } from '../../rules/termination.ts';
import { toInstant, toInstantOrNull } from '../instants.ts';
import type { PagePosition } from '../index.ts';
import { listRows } from '../list-rows.ts';
import { newestById } from '../newest-of.ts';
import { systemActor } from '../record-audit.ts';

export interface GrantRow {
  id: string;
  organization_id: string;
  user_id: string | null;
  status: GrantStatus;
  shown_end_reason: GrantEndReason | null;
  reason: string | null;
  created_by: RecordedActor;
  created_at: string;
  starts_at: string;
  expires_at: string;
  revision: number;
  ended_at: string | null;
  sessions_cleared_at: string | null;
  ended_by: RecordedActor | null;
  stalled: boolean;
  sessions_total: number;
  sessions_cleared: number;
}

/**
 * Grants as they are shown: ended from the instant that the clock says so, marked or not. A session is cleared when the
 * Auth Module confirmed its sign-in and every chain that was to be killed. `stalled` also counts what the grant's
 * terminations confirm as progress.
 */
const shownGrants = sql`
  select g.*, e.ended_at, coalesce(g.end_reason, case when e.ended_at is not null then 'expired' end) as shown_end_reason,
    case when e.ended_at is null then 'active' when g.sessions_cleared_at is null then 'ending' else 'ended' end as status,
    coalesce(e.ended_at is not null and g.sessions_cleared_at is null
      and greatest(g.progress_at, e.ended_at, t.progress_at) < clock.now - ${stalledAfterSeconds} * interval '1 second', false) as stalled,
    s.total::int as sessions_total, s.cleared::int as sessions_cleared
  from (select current_instant() as now) clock
  cross join support_access_grants g
  cross join lateral (select coalesce(g.access_ended_at, case when g.expires_at <= clock.now then g.expires_at end) as ended_at) e
  cross join lateral (
    select max(progress_at) as progress_at from terminations
    where organization_id = g.organization_id and scope_kind = 'grant' and scope_id = g.id::text
  ) t
  cross join lateral (
    select count(*) as total, count(*) filter (where u.sign_in_outcome in ('invalidated', 'already-dead') and not exists (
        select 1 from refresh_token_chains r where r.organization_id = u.organization_id and r.session_id = u.id and r.outcome = 'pending'
      )) as cleared
    from sessions u where u.support_access_grant_id = g.id and u.organization_id = g.organization_id
  ) s
  where g.starts_at is not null`;

/** A grant of this organization; undefined for one that is absent, foreign or not (yet) alive. */
export const readGrant = (db: Queryable, organizationId: string, grantId: string): Promise<GrantRow | undefined> =>
  row<GrantRow>(db, sql`${shownGrants} and g.organization_id = ${organizationId} and g.id = ${grantId}::uuid`);

/** The organization's grants, newest first, strictly after a position. */
export const readGrants = (
  db: Queryable,
  organizationId: string,
  after: PagePosition | null,
  count: number,
): Promise<GrantRow[]> => {
  const { where, orderBy } = newestById('g', organizationId, after);
  return listRows<GrantRow>(db, sql`${shownGrants} and ${where} order by ${orderBy} limit ${count}`);
};

export const grantView = (r: GrantRow): GrantView => ({
  id: r.id,
  organizationId: r.organization_id,
  userId: r.user_id,
  status: r.status,
  endReason: r.shown_end_reason,
  reason: r.reason,
  createdBy: shownActor(r.created_by),
  createdAt: toInstant(r.created_at),
  startsAt: toInstant(r.starts_at),
  expiresAt: toInstant(r.expires_at),
  revision: r.revision,
  accessEndedAt: toInstantOrNull(r.ended_at),
  sessionsClearedAt: toInstantOrNull(r.sessions_cleared_at),
  endedBy: r.ended_by === null ? (r.status === 'active' ? null : systemActor) : shownActor(r.ended_by),
  stalled: r.stalled,
  sessions: { total: r.sessions_total, cleared: r.sessions_cleared },
});
