import { sql } from 'kysely';
import { type Database, row } from '../../database.ts';
import { toInstant } from '../../service/instants.ts';
import { lockGrants } from '../../service/locks.ts';
import { expireGrants, longExpired, revokeGrants } from '../../service/support-access/decide-grants.ts';

export type GrantLook = { state: 'active'; expiresAt: string; waitMs: number } | { state: 'ended' | 'gone' };

/**
 * Looks at a grant: ends it if it is due by the database's clock, or if somebody asked for it (`revokedBy`), else says
 * how long to wait, at least a millisecond. The row decides; asking again changes nothing.
 */
export const createSettleGrant =
  ({ database }: { database: Database }) =>
  async ({ grantId, revokedBy }: { grantId: string; revokedBy: string | null }): Promise<GrantLook> => {
    if (revokedBy !== null) await revoke(database, grantId, revokedBy);
    const which = sql`id = ${grantId}::uuid`;
    const live = await row<{ expires_at: string; wait_ms: number }>(
      database.pool,
      // what is not delivered yet stays so: the dispatcher alone knows whether it was sent
      sql`update support_access_grants set next_look_at = expires_at, dispatch_count = 0,
          dispatch_after = case when delivered_revision < revision then dispatch_after else expires_at + interval '1 minute' end
        where ${which} and starts_at is not null and access_ended_at is null and expires_at > current_instant()
        returning expires_at, ceil(extract(epoch from expires_at - current_instant()) * 1000)::float8 as wait_ms`,
    );
    if (live !== undefined)
      return { state: 'active', expiresAt: toInstant(live.expires_at), waitMs: Math.max(1, live.wait_ms) };
    if ((await expireGrants(database.pool, which)) > 0) return { state: 'ended' };
    const ended = await row(
      database.pool,
      sql`select 1 from support_access_grants where ${which} and access_ended_at is not null`,
    );
    // neither live, nor due, nor ended: changed between these statements
    if (ended === undefined && (await exists(database, grantId))) return { state: 'active', expiresAt: '', waitMs: 1 };
    return { state: ended === undefined ? 'gone' : 'ended' };
  };

const exists = async (database: Database, grantId: string): Promise<boolean> =>
  (await row(
    database.pool,
    sql`select 1 from support_access_grants where id = ${grantId}::uuid and starts_at is not null`,
  )) !== undefined;

/** The same decision as the service's own, by whoever sent the signal. */
async function revoke(database: Database, grantId: string, revokedBy: string): Promise<void> {
  const grant = await row<{ organization_id: string }>(
    database.pool,
    sql`select organization_id from support_access_grants where id = ${grantId}::uuid`,
  );
  if (grant === undefined) return;
  await database.transaction(async (transaction) => {
    await lockGrants(transaction, grant.organization_id);
    const actor = { kind: 'operator' as const, id: revokedBy, sessionId: null, supportAccessGrantId: null };
    await expireGrants(transaction, sql`id = ${grantId}::uuid and ${longExpired}`);
    await revokeGrants(transaction, sql`id = ${grantId}::uuid`, { actor, reason: null, delivered: true });
  });
}
