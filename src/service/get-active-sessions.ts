import type { Database } from '../database.ts';
import type { AdminContext } from '../rules/access.ts';
import type { SessionView } from '../rules/session.ts';
import type { SessionManagementService } from './index.ts';
import { toInstant, toInstantOrNull } from './instants.ts';
import { requireLiveGrant } from './live-grant.ts';
import { pageOf } from './pages.ts';
import { textArray } from './text-array.ts';
import { createReadSessions, type SessionRow } from './read-sessions.ts';

/** A user's sessions in the caller's organization, newest start first, as first recorded: no page loses one that is used meanwhile. A user unknown here has none. */
export function createGetActiveSessions({
  database,
}: {
  database: Database;
}): SessionManagementService['getActiveSessions'] {
  const readSessions = createReadSessions({ database });
  return async (userId, context, { limit = 50, after = null, status = 'active' } = {}) => {
    const { organizationId } = context;
    const found = await readSessions(status, { organizationId, userId, after, limit: limit + 1 });
    // after the page, which may have waited: what is shown was allowed until it was read
    await requireLiveGrant(database.pool, context);
    return pageOf(
      found,
      limit,
      (r) => ({ at: toInstant(r.first_started_at), id: r.id }),
      (r) => view(r, userId, context),
    );
  };
}

const notOver = { status: 'active', over_at: null, over_reason: null, over_termination_id: null } as const;

function view(r: SessionRow, userId: string, context: AdminContext): SessionView {
  const over = r.status === undefined ? notOver : r;
  return {
    id: r.id,
    userId,
    organizationId: context.organizationId,
    status: over.status,
    startedAt: toInstant(r.started_at),
    lastSeenAt: toInstant(r.last_seen_at),
    expiresAt: toInstantOrNull(r.effective_expires_at),
    endedAt: toInstantOrNull(over.status === 'expired' ? r.effective_expires_at : over.over_at),
    endReason: over.status === 'expired' ? 'expired' : over.over_reason,
    ipAddress: r.ip_address,
    userAgent: r.user_agent,
    client: r.client,
    authenticationMethods: textArray(r.authentication_methods),
    current: context.isSessionHere && context.sessionId === r.id,
    supportAccessGrantId: r.support_access_grant_id,
    terminationId: over.over_termination_id,
    refreshTokenChains: { alive: r.alive, dead: r.dead },
  };
}
