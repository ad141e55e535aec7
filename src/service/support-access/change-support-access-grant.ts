import { sql } from 'kysely';
import { type Database, row, type Transaction } from '../../database.ts';
import { notFound, ServiceError } from '../../errors.ts';
import { actorOf, type AdminContext } from '../../rules/access.ts';
import { isUuid } from '../../rules/identifier.ts';
import { changeBounds, grantLongestLifeDays, type GrantLimits } from '../../rules/support-access-grant.ts';
import { authorizeDecision } from '../authorize-decision.ts';
import type { SessionManagementService } from '../index.ts';
import { wakeDispatcher } from '../insert-termination.ts';
import { grantIsLive } from '../live-grant.ts';
import { rfc3339 } from './decide-grants.ts';
import { showGrant } from './get-support-access-grant.ts';
import { readExpiry, refuseExpiry } from './read-expiry.ts';

export interface GrantChange {
  grantId: string;
  expiresAt: string;
  /** Undefined: the zone stays. */
  timeZone?: string | null | undefined;
  ifRevision?: number | undefined;
}

/**
 * Moves the end of a live grant, later or sooner. Needs no workflow engine: the closer is armed and reads the row again at
 * the old end. Throws `grant-ended` from the end on: a grant never lives again.
 */
export const createChangeSupportAccessGrant =
  ({
    database,
    limits,
  }: {
    database: Database;
    limits: GrantLimits;
  }): SessionManagementService['changeSupportAccessGrant'] =>
  async (grantId, expiresAt, context, { ifRevision } = {}) => {
    if (!isUuid(grantId)) throw notFound();
    const change = { grantId, expiresAt: readExpiry(expiresAt, '/expiresAt'), ifRevision };
    await database.transaction((transaction) => changeGrant(transaction, change, context, limits));
    return showGrant(database.pool, context.organizationId, grantId);
  };

/** The one conditional write, and, where it wrote nothing, the reason why. The same end again writes nothing and is no refusal. */
export async function changeGrant(
  transaction: Transaction,
  change: GrantChange,
  context: AdminContext,
  limits: GrantLimits,
): Promise<void> {
  await authorizeDecision(transaction, context, { grants: true });
  const locked = await row(
    transaction,
    sql`select 1 from support_access_grants where organization_id = ${context.organizationId} and id = ${change.grantId}::uuid and starts_at is not null for update`,
  );
  if (locked === undefined) throw notFound();
  if (await write(transaction, change, context, limits)) wakeDispatcher(transaction);
  else await explain(transaction, change, limits);
}

async function write(
  transaction: Transaction,
  change: GrantChange,
  context: AdminContext,
  limits: GrantLimits,
): Promise<boolean> {
  const { grantId, expiresAt, timeZone, ifRevision } = change;
  const zone = timeZone === undefined ? sql`time_zone` : sql`${timeZone}::text`;
  const changed = await row(
    transaction,
    sql`with before as (select expires_at as previous from support_access_grants where id = ${grantId}::uuid),
      changed as (
        update support_access_grants set expires_at = ${expiresAt}::timestamptz, time_zone = ${zone}, revision = revision + 1,
          next_look_at = current_instant(), dispatch_after = current_instant(), dispatch_count = 0
        where id = ${grantId}::uuid and ${grantIsLive} and revision = coalesce(${ifRevision ?? null}::int, revision)
          and (expires_at, time_zone) is distinct from (${expiresAt}::timestamptz, ${zone})
          and ${expiresAt}::timestamptz > current_instant()
          and ${expiresAt}::timestamptz <= least(current_instant() + ${limits.maxSeconds} * interval '1 second', created_at + ${grantLongestLifeDays * 24} * interval '1 hour')
        returning *
      )
      insert into audit_events (organization_id, at, action, actor, subject_kind, subject_id, details)
      select organization_id, current_instant(), 'support-access.changed', ${JSON.stringify(actorOf(context))}::jsonb, 'grant', id,
        jsonb_build_object('userId', user_id, 'expiresAt', ${rfc3339('expires_at')}, 'previousExpiresAt', ${rfc3339('previous')}, 'timeZone', time_zone, 'revision', revision)
      from changed, before returning 1`,
  );
  return changed !== undefined;
}

interface Present {
  live: boolean;
  revision: number;
  same_end: boolean;
  now_ms: number;
  created_ms: number;
}

async function explain(
  transaction: Transaction,
  { grantId, expiresAt, ifRevision }: GrantChange,
  limits: GrantLimits,
): Promise<void> {
  const present = await row<Present>(
    transaction,
    sql`select ${grantIsLive} as live, revision, expires_at = ${expiresAt}::timestamptz as same_end,
      (extract(epoch from current_instant()) * 1000)::float8 as now_ms, (extract(epoch from created_at) * 1000)::float8 as created_ms
      from support_access_grants where id = ${grantId}::uuid`,
  );
  if (present === undefined) throw notFound();
  if (!present.live) throw new ServiceError('grant-ended', 'This grant has ended; a grant never lives again.');
  if (ifRevision !== undefined && ifRevision !== present.revision) {
    throw new ServiceError('revision-mismatch', `This grant is at revision ${present.revision}.`);
  }
  if (!present.same_end)
    throw refuseExpiry(changeBounds(Math.round(present.now_ms), Math.round(present.created_ms), limits));
}
