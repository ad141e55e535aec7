import { sql } from 'kysely';
import { type Database, rows } from '../database.ts';
import type { AdminContext } from '../rules/access.ts';
import type { SessionEndReason, SessionStatus, SessionView } from '../rules/session.ts';
import type { SessionManagementService } from './index.ts';
import { toInstant, toInstantOrNull } from './instants.ts';
import { requireLiveGrant } from './live-grant.ts';
import { pageOf } from './pages.ts';

interface SessionRow {
  id: string;
  status: SessionStatus;
  started_at: string;
  last_seen_at: string;
  effective_expires_at: string | null;
  over_at: string | null;
  over_reason: SessionEndReason | null;
  ip_address: string | null;
  user_agent: string | null;
  client: string | null;
  authentication_methods: string[];
  support_access_grant_id: string | null;
  over_termination_id: string | null;
  alive: number;
  dead: number;
}

// Spelled out for each status, so that the planner can walk the index that holds just these rows.
const condition = {
  active: sql.raw(
    'ended_at is null and over_at is null and (effective_expires_at is null or effective_expires_at > current_instant())',
  ),
  ended: sql.raw('(over_at is not null or effective_expires_at <= current_instant())'),
  all: sql.raw('true'),
};

/** A user's sessions in the caller's organization, newest activity first; a user unknown here has none. */
export const createGetActiveSessions =
  ({ database }: { database: Database }): SessionManagementService['getActiveSessions'] =>
  async (userId, context, { limit = 50, after = null, status = 'active' } = {}) => {
    await requireLiveGrant(database.pool, context);
    const found = await rows<SessionRow>(
      database.pool,
      sql`select s.id, started_at, last_seen_at, effective_expires_at, over_at, over_reason, ip_address, user_agent, client,
          authentication_methods, support_access_grant_id, over_termination_id, alive, dead,
          case when over_at is not null then 'ended' when effective_expires_at <= current_instant() then 'expired' else 'active' end as status
        from session_states s
        -- a chain is alive until the Auth Module confirmed it dead
        cross join lateral (
          select count(*) filter (where c.outcome is null or c.outcome = 'pending')::int as alive, count(*) filter (where c.outcome <> 'pending')::int as dead
          from refresh_token_chains c where c.organization_id = ${context.organizationId} and c.user_id = ${userId} and c.session_id = s.id
        ) chains
        where organization_id = ${context.organizationId} and user_id = ${userId} and ${condition[status]}
          and ${after === null ? sql`true` : sql`(last_seen_at, s.id) < (${after.at}::timestamptz, ${after.id})`}
        order by last_seen_at desc, s.id desc limit ${limit + 1}`,
    );
    return pageOf(
      found,
      limit,
      (r) => ({ at: toInstant(r.last_seen_at), id: r.id }),
      (r) => view(r, userId, context),
    );
  };

const view = (r: SessionRow, userId: string, context: AdminContext): SessionView => ({
  id: r.id,
  userId,
  organizationId: context.organizationId,
  status: r.status,
  startedAt: toInstant(r.started_at),
  lastSeenAt: toInstant(r.last_seen_at),
  expiresAt: toInstantOrNull(r.effective_expires_at),
  endedAt: r.status === 'expired' ? toInstantOrNull(r.effective_expires_at) : toInstantOrNull(r.over_at),
  endReason: r.status === 'expired' ? 'expired' : r.over_reason,
  ipAddress: r.ip_address,
  userAgent: r.user_agent,
  client: r.client,
  authenticationMethods: r.authentication_methods,
  current: context.isSessionHere && context.sessionId === r.id,
  supportAccessGrantId: r.support_access_grant_id,
  terminationId: r.over_termination_id,
  refreshTokenChains: { alive: r.alive, dead: r.dead },
});
