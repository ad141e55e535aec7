import { type RawBuilder, sql } from 'kysely';
import { type Database, rows } from '../../database.ts';
import type { GrantEndReason, SupportAccessDecision } from '../../rules/support-access-grant.ts';
import { createBatch } from '../batch.ts';
import type { SessionManagementService } from '../index.ts';
import { toInstantOrNull } from '../instants.ts';

/** How long an answer may be used again, at most. */
const MAX_AGE_SECONDS = 5;

interface CheckRow {
  session_is_over: boolean;
  grant_id: string | null;
  live: boolean;
  end_reason: GrantEndReason | null;
  not_after: string | null;
  seconds_left: number | null;
}

interface Question {
  organizationId: string;
  userId: string;
  sessionId?: string | undefined;
  /** The machine that asks speaks for this organization only: to it another's session is one that nobody knows. */
  isBound: boolean;
}

/**
 * May this person act in this organization now? One statement, by the database's clock alone: no timer, cache or
 * workflow is consulted. A session that is known here counts with its own grant only, even where another is live.
 */
export const createCheckSupportAccess = ({
  database,
}: {
  database: Database;
}): SessionManagementService['checkSupportAccess'] => {
  // gateways ask at each request: under load it is the round trips that cost, not the answers
  const ask = createBatch((questions: readonly Question[]) => rows<CheckRow>(database.pool, answersTo(questions)));
  return async ({ role, ...question }, machineOf) => {
    if (role !== 'global_admin') return deny('not-eligible', null);
    const found = await ask({ ...question, isBound: machineOf !== null });
    if (found.session_is_over) return deny('session-ended', null);
    if (found.grant_id === null) return deny('no-grant', null);
    if (!found.live) return deny(found.end_reason ?? 'expired', found.grant_id);
    return {
      decision: 'allow',
      reason: 'granted',
      grantId: found.grant_id,
      notAfter: toInstantOrNull(found.not_after),
      maxAgeSeconds: Math.max(0, Math.min(MAX_AGE_SECONDS, Math.floor(found.seconds_left ?? 0))),
    };
  };
};

const deny = (reason: SupportAccessDecision['reason'], grantId: string | null): SupportAccessDecision => ({
  decision: 'deny',
  reason,
  grantId,
  notAfter: null,
  maxAgeSeconds: MAX_AGE_SECONDS,
});

/** For one grantee; each is the end of one range of an index, however many there have been. */
const latestPastGrant = (grantee: RawBuilder<unknown>) =>
  sql`select g.id, g.end_reason, g.access_ended_at, g.expires_at from support_access_grants g
    where live.id is null and session.id is null and g.organization_id = q.organization_id and coalesce(g.user_id, '') = ${grantee} and g.starts_at is not null
    order by coalesce(g.access_ended_at, g.expires_at) desc limit 1`;

/**
 * Of several live grants the one that ends last, else of the past ones the one that ended last. The past ones are only
 * looked at where none is live: an organization may have very many of them. Ids of sessions are an organization's own:
 * this one's session first, else another's of the same id.
 */
function answersTo(questions: readonly Question[]): RawBuilder<CheckRow> {
  const column = (of: (question: Question) => string | null) => sql`${questions.map(of)}::text[]`;
  return sql<CheckRow>`with clock as materialized (select current_instant() as now)
    select session.id is not null and (session.organization_id <> q.organization_id or session.user_id <> q.user_id
        or session.over_at is not null or coalesce(session.effective_expires_at <= clock.now, false)) as session_is_over,
      coalesce(live.id, past.id) as grant_id, live.id is not null as live, past.end_reason, live.not_after,
      extract(epoch from live.not_after - clock.now)::float8 as seconds_left
    from clock, unnest(${column((q) => q.organizationId)}, ${column((q) => q.userId)}, ${column((q) => q.sessionId ?? null)},
      ${sql`${questions.map((q) => q.isBound)}::boolean[]`}) with ordinality as q(organization_id, user_id, session_id, is_bound, n)
    left join lateral (
      select id, organization_id, user_id, over_at, effective_expires_at, support_access_grant_id from session_states s
      where q.session_id is not null and s.id = q.session_id and (s.organization_id = q.organization_id or not q.is_bound) order by s.organization_id = q.organization_id desc limit 1
    ) session on true
    left join lateral (
      select g.id, least(g.expires_at, session.effective_expires_at) as not_after from support_access_grants g, clock
      where g.organization_id = q.organization_id and coalesce(g.user_id, '') in ('', q.user_id) and g.starts_at is not null and g.access_ended_at is null
        and g.starts_at <= clock.now and g.expires_at > clock.now and (session.id is null or g.id = session.support_access_grant_id)
      order by g.expires_at desc limit 1
    ) live on true
    left join lateral (
      select p.id, p.end_reason from (
        select g.id, g.end_reason, g.access_ended_at, g.expires_at from support_access_grants g
          where live.id is null and session.id is not null and g.organization_id = q.organization_id and g.id = session.support_access_grant_id
            and g.starts_at is not null and coalesce(g.user_id, '') in ('', q.user_id)
        union all (${latestPastGrant(sql`''`)}) union all (${latestPastGrant(sql`q.user_id`)})
      ) p order by coalesce(p.access_ended_at, p.expires_at) desc limit 1
    ) past on true
    order by q.n`;
}
