import { sql } from 'kysely';
import { type Database, row, type Transaction } from '../../database.ts';
import { giverIsEnded, holdGiver } from '../../service/support-access/giver.ts';
import { expireGrants, rfc3339, voidGrants } from '../../service/support-access/decide-grants.ts';
import type { Actor } from '../../rules/termination.ts';
import type { GrantActivation } from '../../workflows/messages.ts';

interface InactiveGrant {
  organization_id: string;
  grantee: string;
  created_by: Actor;
  started: boolean;
}

/**
 * Makes a grant live, by one conditional write: not voided, its request still waiting by the database's clock, who gives
 * it not ended since, and no other grant live for the same. Else it is voided, and never comes alive. A grant that is (or was) alive is `active`.
 */
export const createActivateGrant =
  ({ database }: { database: Database }) =>
  async ({ grantId }: { grantId: string }): Promise<GrantActivation | 'gone'> => {
    const grant = await row<InactiveGrant>(
      database.pool,
      sql`select organization_id, coalesce(user_id, '') as grantee, created_by, starts_at is not null as started from support_access_grants where id = ${grantId}::uuid`,
    );
    if (grant === undefined) return 'gone';
    if (grant.started) return 'active';
    return database.transaction((transaction) => decide(transaction, grantId, grant));
  };

async function decide(
  transaction: Transaction,
  grantId: string,
  { organization_id, grantee, created_by }: InactiveGrant,
): Promise<GrantActivation> {
  await holdGiver(transaction, organization_id, created_by);
  // ended by the clock and not marked yet: it must not stand in the way
  await expireGrants(transaction, sql`organization_id = ${organization_id} and coalesce(user_id, '') = ${grantee}`);
  if (await start(transaction, grantId)) return 'active';
  const left = await row<{ started: boolean; late: boolean }>(
    transaction,
    sql`select starts_at is not null as started, voided_at is null and least(activate_before, expires_at) <= current_instant() as late
      from support_access_grants where id = ${grantId}::uuid`,
  );
  if (left?.started === true) return 'active';
  await voidGrants(transaction, sql`id = ${grantId}::uuid`);
  return left?.late === true ? 'late' : 'refused';
}

/** The workflow that asks holds the timer, so that nobody has to tell it of this. */
const start = async (transaction: Transaction, grantId: string): Promise<boolean> =>
  (await row(
    transaction,
    sql`with started as (
        update support_access_grants g set starts_at = current_instant(), delivered_revision = revision, progress_at = current_instant(),
          next_look_at = expires_at, dispatch_after = expires_at + interval '1 minute'
        where id = ${grantId}::uuid and starts_at is null and voided_at is null
          and activate_before > current_instant() and expires_at > current_instant()
          and not ${giverIsEnded}
          and not exists (select from support_access_grants o where o.organization_id = g.organization_id
            and coalesce(o.user_id, '') = coalesce(g.user_id, '') and o.starts_at is not null and o.access_ended_at is null)
        returning *
      )
      insert into audit_events (organization_id, at, action, actor, subject_kind, subject_id, reason, details)
      select organization_id, starts_at, 'support-access.granted', created_by, 'grant', id, reason,
        jsonb_build_object('userId', user_id, 'expiresAt', ${rfc3339('expires_at')}, 'timeZone', time_zone)
      from started returning 1`,
  )) !== undefined;
