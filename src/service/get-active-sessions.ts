import { sql } from 'kysely';
import { type Database, rows } from '../database.ts';
import type { AdminContext } from '../rules/access.ts';
import type { InvalidationOutcome, SessionEndReason, SessionStatus, SessionView } from '../rules/session.ts';
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
      sql`select id, user_id, organization_id, started_at, last_seen_at, effective_expires_at, over_at, over_reason, ip_address, user_agent, client,
          authentication_methods, support_access_grant_id, over_termination_id,
          case when over_at is not null then 'ended' when effective_expires_at <= current_instant() then 'expired' else 'active' end as status
        from session_states
        where organization_id = ${context.organizationId} and user_id = ${userId} and ${condition[status]}
          and ${after === null ? sql`true` : sql`(last_seen_at, id) < (${after.at}::timestamptz, ${after.id})`}
        order by last_seen_at desc, id desc limit ${limit + 1}`,
    );
    const chains = await countChains(
      database,
      context.organizationId,
      userId,
      found.map((session) => session.id),
    );
    return pageOf(
      found,
      limit,
      (r) => ({ at: toInstant(r.last_seen_at), id: r.id }),
      (r) => view(r, chains.get(r.id), context),
    );
  };

type ChainCounts = SessionView['refreshTokenChains'];

/** A chain is alive until the Auth Module confirmed it dead. A statement of its own: joined, it costs three times as much. */
async function countChains(
  database: Database,
  organizationId: string,
  userId: string,
  sessionIds: readonly string[],
): Promise<Map<string, ChainCounts>> {
  const counts = new Map<string, ChainCounts>();
  if (sessionIds.length === 0) return counts;
  const chains = await rows<{ session_id: string; outcome: InvalidationOutcome | null }>(
    database.pool,
    sql`select session_id, outcome from refresh_token_chains where organization_id = ${organizationId} and user_id = ${userId} and session_id = any (${[...sessionIds]}::text[])`,
  );
  for (const { session_id, outcome } of chains) {
    const count = counts.get(session_id) ?? { alive: 0, dead: 0 };
    count[outcome === null || outcome === 'pending' ? 'alive' : 'dead'] += 1;
    counts.set(session_id, count);
  }
  return counts;
}

const view = (r: SessionRow, chains: ChainCounts | undefined, context: AdminContext): SessionView => ({
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
  refreshTokenChains: chains ?? { alive: 0, dead: 0 },
});
