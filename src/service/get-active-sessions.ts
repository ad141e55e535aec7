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
  user_id: string;
  organization_id: string;
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
  chains_alive: number;
  chains_dead: number;
}

// Spelled out for each status, so that the planner can walk the index that holds just these rows.
const condition = {
  active: sql.raw('ended_at is null and over_at is null and (effective_expires_at is null or effective_expires_at > current_instant())'),
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
      sql`select p.*, coalesce(c.alive, 0)::int as chains_alive, coalesce(c.dead, 0)::int as chains_dead
        from (
          select id, user_id, organization_id, started_at, last_seen_at, effective_expires_at, over_at, over_reason, ip_address, user_agent, client,
            authentication_methods, support_access_grant_id, over_termination_id,
            case when over_at is not null then 'ended' when effective_expires_at <= current_instant() then 'expired' else 'active' end as status
          from session_states
          where organization_id = ${context.organizationId} and user_id = ${userId} and ${condition[status]}
            and ${after === null ? sql`true` : sql`(last_seen_at, id) < (${after.at}::timestamptz, ${after.id})`}
          order by last_seen_at desc, id desc limit ${limit + 1}
        ) p
        left join lateral (
          select count(*) filter (where outcome is null or outcome = 'pending') as alive, count(*) filter (where outcome <> 'pending') as dead
          from refresh_token_chains r where r.organization_id = p.organization_id and r.session_id = p.id
        ) c on true
        order by p.last_seen_at desc, p.id desc`,
    );
    return pageOf(found, limit, (r) => ({ at: toInstant(r.last_seen_at), id: r.id }), (r) => view(r, context));
  };

const view = (r: SessionRow, context: AdminContext): SessionView => ({
  id: r.id,
  userId: r.user_id,
  organizationId: r.organization_id,
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
  current: context.sessionId === r.id,
  supportAccessGrantId: r.support_access_grant_id,
  terminationId: r.over_termination_id,
  refreshTokenChains: { alive: r.chains_alive, dead: r.chains_dead },
});
