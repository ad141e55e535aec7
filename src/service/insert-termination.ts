import { createHash } from 'node:crypto';
import { sql } from 'kysely';
import { row, type Transaction } from '../database.ts';
import { tellAfterCommit } from '../notifications.ts';
import type { RecordedActor, TerminationScope } from '../rules/termination.ts';
import { endedByTermination } from './ended-by.ts';
import { holdsUntil } from './fence.ts';
import { terminationColumns, type TerminationRow } from './termination-view.ts';

export interface NewTermination {
  organizationId: string;
  scope: TerminationScope;
  /** The termination whose fence this one has too, for what comes late; null: a decision of its own, of this instant, read after the locks that the caller holds. */
  fenceOf: string | null;
  keptSessionIds: readonly string[];
  requestedBy: RecordedActor;
  reason: string | null;
  /** True: a termination of the same scope that keeps the same sessions and still runs takes this one in; its cutoff rises to now. */
  joins?: boolean;
  /** How long the dispatcher leaves the delivery to the request that decided. 0: deliver at once. */
  dispatchInMs: number;
}

/** A request that waits delivers by itself; the dispatcher comes only where that request has died. */
const OWN_DELIVERY_MS = 3_000;
export const dispatchInMs = (waitSeconds: number): number => (waitSeconds === 0 ? 0 : OWN_DELIVERY_MS);

/** Tells every dispatcher, once this transaction has committed, that there is something to deliver. */
export const wakeDispatcher = (transaction: Transaction): void => tellAfterCommit(transaction, 'decisions');

/**
 * Puts up the fence: one row and its audit event, whatever the number of sessions, in the caller's transaction and in
 * one statement. From the commit on everything in the scope that is recorded now, whatever its stamps say, or that started
 * at or before the cutoff is ended in every read. The cutoff is this instant; where the clock was set back, not before an
 * earlier one of the scope, nor before what is recorded in the organization or was opened from a session of it. Returns the
 * termination as it is now. A scope that is not a single session's must be locked by then (`lockScope`).
 */
export async function insertTermination(transaction: Transaction, t: NewTermination): Promise<TerminationRow> {
  const wait = sql`${t.dispatchInMs} * interval '1 millisecond'`;
  const decided = await row<TerminationRow>(
    transaction,
    sql`with clock as materialized (select current_instant() as now),
      fence as materialized (${fenceOf(t)}),
      joined as (
        update terminations t set cutoff = fence.cutoff, holds_until = fence.holds_until, decided_order = fence.decided_order, decided_at = now,
          earlier_decisions = earlier_decisions || decision_of(t.cutoff, t.holds_until, t.decided_order, t.decided_at), revision = revision + 1, dispatch_count = 0, dispatch_after = now + ${wait}
        from clock, fence where t.id = (${runningAlike(t)}) and t.status = 'running' returning t.*
      ),
      organization as (insert into organizations (id) select ${t.organizationId} where not exists (select from joined) on conflict do nothing),
      inserted as (
        insert into terminations (organization_id, scope_kind, scope_id, cutoff, holds_until, decided_order, decided_at, kept_session_ids, requested_at, requested_by, reason, progress_at, next_look_at, dispatch_after)
        select ${t.organizationId}, ${t.scope.kind}, ${t.scope.id}, fence.cutoff, fence.holds_until, fence.decided_order, now, ${[...t.keptSessionIds]}::text[], now,
          ${JSON.stringify(t.requestedBy)}::jsonb, ${t.reason}, now, now, now + ${wait}
        from clock, fence where not exists (select from joined) returning *
      ),
      decided as (select 'termination.joined' as fact, * from joined union all select 'termination.requested', * from inserted),
      fact as (
        insert into audit_events (organization_id, at, action, actor, subject_kind, subject_id, reason, details)
        select organization_id, now, fact, ${JSON.stringify(t.requestedBy)}::jsonb, scope_kind, scope_id, ${t.reason},
          jsonb_build_object('terminationId', id) || ${JSON.stringify(keptInAudit(t.keptSessionIds))}::jsonb
        from clock, decided
      )
      select ${terminationColumns} from decided`,
  );
  if (decided === undefined) throw new Error('a decision returns its row');
  if (t.dispatchInMs === 0) wakeDispatcher(transaction);
  return decided;
}

/**
 * What the audit keeps of the kept sessions: the list is the termination's own, and a client decides how long it is. The
 * hash is of the list's JSON as the termination shows it.
 */
const keptInAudit = (ids: readonly string[]) => ({
  keptSessions: ids.length,
  keptSessionsSha256: createHash('sha256').update(JSON.stringify(ids)).digest('hex'),
});

/** The fence of a termination that there is; else the one that is decided now. Each part is found by an index. */
const fenceOf = ({ fenceOf: id, organizationId, scope }: NewTermination) =>
  id === null
    ? sql`select greatest(now,
          (select max(cutoff) from terminations where organization_id = ${organizationId} and scope_kind = ${scope.kind} and scope_id = ${scope.id}),
          (select max(fenced_from) from sessions where organization_id = ${organizationId} and termination_id is null),
          (select max(fenced_from) from sessions where parent_organization_id = ${organizationId} and parent_session_id is not null and termination_id is null)) as cutoff,
        ${holdsUntil()}::timestamptz as holds_until, nextval('record_order') as decided_order from clock`
    : sql`select cutoff, holds_until, decided_order from terminations where id = ${id}::uuid`;

/** Who presses the button oftener than this while one termination runs begins another, so that its row stays small. */
const MOST_JOINS = 1_000;

const runningAlike = ({ joins = false, organizationId, scope, keptSessionIds }: NewTermination) =>
  joins
    ? sql`select id from terminations where organization_id = ${organizationId} and scope_kind = ${scope.kind} and scope_id = ${scope.id}
        and status = 'running' and kept_session_ids = ${[...keptSessionIds]}::text[]
        and jsonb_array_length(earlier_decisions) < ${MOST_JOINS} order by requested_at desc limit 1`
    : sql`null`;

/** Marks a session, unless another termination has it, and its chains as this termination's work. Returns the termination as it is then. */
export async function claimSession(
  transaction: Transaction,
  terminationId: string,
  organizationId: string,
  sessionId: string,
): Promise<TerminationRow> {
  const counted = await row<TerminationRow>(
    transaction,
    sql`with claimed as (
        update sessions s set termination_id = ${terminationId}, sign_in_outcome = 'pending',
          ${endedByTermination(terminationId)}
        where organization_id = ${organizationId} and id = ${sessionId} and termination_id is null returning id
      ), chains as (
        update refresh_token_chains set termination_id = ${terminationId}, outcome = 'pending'
        where organization_id = ${organizationId} and session_id in (select id from claimed) and termination_id is null returning id
      ), counts as (select (select count(*) from claimed)::int as sessions, (select count(*) from chains)::int as chains)
      update terminations set sessions_total = sessions_total + counts.sessions, sessions_pending = sessions_pending + counts.sessions,
        chains_total = chains_total + counts.chains, chains_pending = chains_pending + counts.chains
      from counts where terminations.id = ${terminationId} returning ${terminationColumns}`,
  );
  if (counted === undefined) throw new Error(`there is no termination ${terminationId}`);
  return counted;
}
