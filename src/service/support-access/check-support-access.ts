import { type RawBuilder, sql } from 'kysely';
import { type Database, row } from '../../database.ts';
import type { GrantEndReason, SupportAccessDecision } from '../../rules/support-access-grant.ts';
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

/**
 * May this person act in this organization now? One statement, by the database's clock alone: no timer, cache or
 * workflow is consulted. A session that is known here counts with its own grant only, even where another is live.
 */
export const createCheckSupportAccess =
  ({ database }: { database: Database }): SessionManagementService['checkSupportAccess'] =>
  async ({ organizationId, userId, role, sessionId }) => {
    if (role !== 'global_admin') return deny('not-eligible', null);
    const found = await row<CheckRow>(database.pool, question(organizationId, userId, sessionId));
    if (found === undefined) throw new Error('the check answers one row');
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

const deny = (reason: SupportAccessDecision['reason'], grantId: string | null): SupportAccessDecision => ({
  decision: 'deny',
  reason,
  grantId,
  notAfter: null,
  maxAgeSeconds: MAX_AGE_SECONDS,
});

/**
 * Of several live grants the one that ends last, else of the past ones the one that ended last. The past ones are only
 * looked at where none is live: an organization may have very many of them.
 */
function question(organizationId: string, userId: string, sessionId: string | undefined): RawBuilder<CheckRow> {
  const session = sessionId === undefined ? noSession : sessionOf(organizationId, sessionId);
  const ofTheSession = sql`(not exists (select from session) or id = (select support_access_grant_id from session))`;
  return sql<CheckRow>`with clock as materialized (select current_instant() as now),
    session as materialized (${session}),
    live as materialized (
      select id, least(expires_at, (select effective_expires_at from session)) as not_after
      from support_access_grants, clock
      where organization_id = ${organizationId} and coalesce(user_id, '') in ('', ${userId}) and starts_at is not null and access_ended_at is null
        and starts_at <= clock.now and expires_at > clock.now and ${ofTheSession}
      order by expires_at desc limit 1
    ), past as materialized (
      select id, end_reason from support_access_grants
      where not exists (select from live) and organization_id = ${organizationId} and starts_at is not null
        and (user_id is null or user_id = ${userId}) and ${ofTheSession}
      order by coalesce(access_ended_at, expires_at) desc limit 1
    )
    select coalesce((select organization_id <> ${organizationId} or user_id <> ${userId} or over_at is not null
        or coalesce(effective_expires_at <= clock.now, false) from session), false) as session_is_over,
      coalesce(live.id, past.id) as grant_id, live.id is not null as live, past.end_reason, live.not_after,
      extract(epoch from live.not_after - clock.now)::float8 as seconds_left
    from clock left join live on true left join past on true`;
}

const noSession =
  sql.raw(`select null::text as organization_id, null::text as user_id, null::timestamptz as over_at, null::timestamptz as effective_expires_at,
  null::uuid as support_access_grant_id where false`);

/** Ids are an organization's own: this one's session first, else another's of the same id. */
const sessionOf = (organizationId: string, sessionId: string) => sql`
  select organization_id, user_id, over_at, effective_expires_at, support_access_grant_id from session_states
  where id = ${sessionId} order by organization_id = ${organizationId} desc limit 1`;
