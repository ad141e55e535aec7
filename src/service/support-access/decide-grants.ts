/** The decisions about grants that several callers share. Each is one statement, with its audit event inside it. */
import { type RawBuilder, sql } from 'kysely';
import { type Queryable, rows } from '../../database.ts';
import type { RecordedActor } from '../../rules/termination.ts';
import { systemActor } from '../record-audit.ts';

export interface Revocation {
  actor: RecordedActor;
  reason: string | null;
  /** The workflow itself decides: nobody has to tell it. */
  delivered: boolean;
}

/**
 * Ends those of the grants `which` that are not marked ended yet; returns their ids. One whose end has come by the clock,
 * and that nobody has marked yet, is revoked at its end: of the two reasons, revoking wins.
 */
export async function revokeGrants(
  db: Queryable,
  which: RawBuilder<unknown>,
  { actor, reason, delivered }: Revocation,
): Promise<string[]> {
  const revoked = await rows<{ id: string }>(
    db,
    sql`with revoked as (
        update support_access_grants set access_ended_at = least(current_instant(), expires_at), end_reason = 'revoked',
          ended_by = ${JSON.stringify(actor)}::jsonb, revision = revision + 1,
          delivered_revision = case when ${delivered} then revision + 1 else delivered_revision end,
          progress_at = current_instant(), next_look_at = current_instant(), dispatch_count = 0,
          dispatch_after = current_instant() + case when ${delivered} then interval '1 minute' else interval '0' end
        where ${which} and starts_at is not null and access_ended_at is null returning *
      ), facts as (
        insert into audit_events (organization_id, at, action, actor, subject_kind, subject_id, reason, details)
        select organization_id, current_instant(), 'support-access.revoked', ended_by, 'grant', id, ${reason},
          jsonb_build_object('userId', user_id, 'accessEndedAt', ${rfc3339('access_ended_at')}, 'expiresAt', ${rfc3339('expires_at')})
        from revoked
      )
      select id from revoked`,
  );
  return revoked.map(({ id }) => id);
}

/** Marks those of the grants `which` as ended whose end has come by the database's clock; returns how many. */
export async function expireGrants(db: Queryable, which: RawBuilder<unknown>): Promise<number> {
  const expired = await rows(
    db,
    sql`with expired as (
        update support_access_grants set access_ended_at = expires_at, end_reason = 'expired', ended_by = ${JSON.stringify(systemActor)}::jsonb,
          progress_at = current_instant(), next_look_at = current_instant(), dispatch_count = 0,
          dispatch_after = case when delivered_revision < revision then dispatch_after else current_instant() + interval '1 minute' end
        where ${which} and starts_at is not null and access_ended_at is null and expires_at <= current_instant() returning *
      ), facts as (
        insert into audit_events (organization_id, at, action, actor, subject_kind, subject_id, details)
        select organization_id, current_instant(), 'support-access.expired', ended_by, 'grant', id,
          jsonb_build_object('userId', user_id, 'accessEndedAt', ${rfc3339('access_ended_at')}) from expired
      )
      select id from expired`,
  );
  return expired.length;
}

/** How long after its end a grant that nobody has marked may still be told as revoked: the two came at once. Later it has expired. */
export const longExpired = sql.raw(`expires_at < current_instant() - interval '5 seconds'`);

/** Makes sure that those of the grants `which` that have not come alive never do; returns how many. */
export async function voidGrants(db: Queryable, which: RawBuilder<unknown>): Promise<number> {
  const voided = await rows(
    db,
    sql`update support_access_grants set voided_at = current_instant(), settled_at = current_instant()
      where ${which} and starts_at is null and voided_at is null returning id`,
  );
  return voided.length;
}

/** A column as the interface writes instants. */
export const rfc3339 = (column: string): RawBuilder<unknown> =>
  sql.raw(`to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`);
