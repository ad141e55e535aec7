import { sql } from 'kysely';
import { row, rows, type Transaction } from '../database.ts';
import type { Actor, TerminationScope } from '../rules/termination.ts';

export interface NewTermination {
  organizationId: string;
  scope: TerminationScope;
  /** RFC 3339; null: this instant, read after the locks that the caller holds. */
  cutoff: string | null;
  keptSessionIds: readonly string[];
  requestedBy: Actor;
  reason: string | null;
  /** How long the dispatcher leaves the delivery to the request that decided. 0: deliver at once. */
  dispatchInMs: number;
}

/** A request that waits delivers by itself; the dispatcher comes only where that request has died. */
const OWN_DELIVERY_MS = 3_000;
export const dispatchInMs = (waitSeconds: number): number => (waitSeconds === 0 ? 0 : OWN_DELIVERY_MS);

/** Tells every dispatcher, once this transaction commits, that there is something to deliver. */
export async function wakeDispatcher(transaction: Transaction): Promise<void> {
  await rows(transaction, sql`select pg_notify('decisions', '')`);
}

/** Serializes the decisions about one scope until the transaction ends. Clocks are read after it, never before. */
export async function lockScope(
  transaction: Transaction,
  organizationId: string,
  scope: TerminationScope,
): Promise<void> {
  await rows(
    transaction,
    sql`select pg_advisory_xact_lock(hashtextextended(${JSON.stringify(['termination', organizationId, scope.kind, scope.id])}, 0))`,
  );
}

/**
 * Puts up the fence: one row and its audit event, whatever the number of sessions, in the caller's transaction.
 * From the commit on everything in the scope from at or before the cutoff is ended in every read.
 */
export async function insertTermination(transaction: Transaction, t: NewTermination): Promise<string> {
  const inserted = await row<{ id: string }>(
    transaction,
    sql`with clock as materialized (select current_instant() as now),
      organization as (insert into organizations (id) values (${t.organizationId}) on conflict do nothing),
      termination as (
        insert into terminations (organization_id, scope_kind, scope_id, cutoff, kept_session_ids, requested_at, requested_by, reason, progress_at, next_look_at, dispatch_after)
        select ${t.organizationId}, ${t.scope.kind}, ${t.scope.id}, coalesce(${t.cutoff}::timestamptz, now), ${[...t.keptSessionIds]}::text[], now,
          ${JSON.stringify(t.requestedBy)}::jsonb, ${t.reason}, now, now, now + ${t.dispatchInMs} * interval '1 millisecond'
        from clock returning id, cutoff
      ),
      fact as (
        insert into audit_events (organization_id, at, action, actor, subject_kind, subject_id, reason, details)
        select ${t.organizationId}, now, 'termination.requested', ${JSON.stringify(t.requestedBy)}::jsonb, ${t.scope.kind}, ${t.scope.id}, ${t.reason},
          jsonb_build_object('terminationId', termination.id, 'keptSessionIds', to_jsonb(${[...t.keptSessionIds]}::text[]))
        from clock, termination
      ),
      woken as (select pg_notify('decisions', '') where ${t.dispatchInMs} = 0)
      select id, (select count(*) from woken) from termination`,
  );
  if (inserted === undefined) throw new Error('an insert returns its row');
  return inserted.id;
}

/** Marks the session that a termination of scope `session` ends, and its chains, as this termination's work. Returns false where another has it. */
export async function claimSession(
  transaction: Transaction,
  terminationId: string,
  organizationId: string,
  sessionId: string,
): Promise<boolean> {
  const counted = await row<{ sessions: number }>(
    transaction,
    sql`with claimed as (
        update sessions set termination_id = ${terminationId}, sign_in_outcome = 'pending',
          ended_at = coalesce(ended_at, current_instant()), end_reason = coalesce(end_reason, 'terminated')
        where organization_id = ${organizationId} and id = ${sessionId} and termination_id is null returning id
      ), chains as (
        update refresh_token_chains set termination_id = ${terminationId}, outcome = 'pending'
        where organization_id = ${organizationId} and session_id in (select id from claimed) and termination_id is null returning id
      ), counts as (select (select count(*) from claimed)::int as sessions, (select count(*) from chains)::int as chains)
      update terminations set sessions_total = sessions_total + counts.sessions, sessions_pending = sessions_pending + counts.sessions,
        chains_total = chains_total + counts.chains, chains_pending = chains_pending + counts.chains
      from counts where terminations.id = ${terminationId} returning counts.sessions`,
  );
  return (counted?.sessions ?? 0) > 0;
}
