import { sql } from 'kysely';
import { row, rows, type Transaction } from '../../database.ts';
import type { TerminationScope } from '../../rules/termination.ts';
import { fenceCovers } from '../fence.ts';
import { claimSession, insertTermination, wakeDispatcher } from '../insert-termination.ts';
import { lockScope } from '../locks.ts';
import { systemActor } from '../record-audit.ts';
import type { Pending } from './index.ts';
import type { OverSession } from './judge-after-commit.ts';

export interface Rejected {
  pending: Pending;
  session: OverSession;
  scope: TerminationScope | null;
}

/**
 * Stores rejected sessions as ended and has each scope of the batch swept once: by the running termination of that
 * scope, whose cutoff stays, where its fence covers them, else by a new one with the fence that they met.
 */
export async function sweepRejected(transaction: Transaction, rejected: readonly Rejected[]): Promise<void> {
  await markRejected(transaction, rejected);
  const scopes = new Map<string, Rejected[]>();
  for (const r of rejected) {
    if (r.scope === null) continue;
    const key = JSON.stringify([
      r.pending.event.organizationId,
      r.scope.kind,
      r.scope.id,
      r.scope.kind === 'session' ? null : r.session.fence_id,
    ]);
    scopes.set(key, [...(scopes.get(key) ?? []), r]);
  }
  for (const [, group] of [...scopes].toSorted(([a], [b]) => (a < b ? -1 : 1))) await sweepScope(transaction, group);
  if (scopes.size > 0) wakeDispatcher(transaction);
}

async function markRejected(transaction: Transaction, rejected: readonly Rejected[]): Promise<void> {
  const begun = rejected
    .filter(({ pending }) => pending.created)
    .map(({ pending: { event } }) => ({ o: event.organizationId, i: event.sessionId }));
  if (begun.length === 0) return;
  await rows(
    transaction,
    sql`update sessions s set ended_at = current_instant(), end_reason = 'rejected'
      from jsonb_to_recordset(${JSON.stringify(begun)}::jsonb) as w(o text, i text) where s.organization_id = w.o and s.id = w.i and s.ended_at is null`,
  );
}

async function sweepScope(transaction: Transaction, group: readonly Rejected[]): Promise<void> {
  const [first] = group;
  if (first === undefined || first.scope === null) return;
  const { scope, session } = first;
  const { organizationId } = first.pending.event;
  await lockScope(transaction, organizationId, scope);
  const kept = scope.kind === 'session' || scope.kind === 'grant' ? [] : (session.kept_session_ids ?? []);
  const sessionIds = group.map(({ pending }) => pending.event.sessionId);
  const isFence = scope.kind === 'user' || scope.kind === 'organization';
  const running = await row<{ id: string }>(
    transaction,
    sql`update terminations set revision = revision + 1, dispatch_after = current_instant(), dispatch_count = 0
      where id = (select id from terminations t where organization_id = ${organizationId} and scope_kind = ${scope.kind} and scope_id = ${scope.id} and status = 'running'
        and kept_session_ids <@ ${kept}::text[] ${isFence ? sql`and ${coversAll(organizationId, sessionIds)}` : sql``} order by requested_at limit 1) and status = 'running' returning id`,
  );
  const { id: terminationId } =
    running ??
    (await insertTermination(transaction, {
      organizationId,
      scope,
      fenceOf: session.fence_id,
      keptSessionIds: kept,
      requestedBy: systemActor,
      reason: null,
      dispatchInMs: 0,
    }));
  if (scope.kind === 'session') await claimSession(transaction, terminationId, organizationId, scope.id);
  await claimLateChains(transaction, terminationId, organizationId, group);
}

const coversAll = (organizationId: string, sessionIds: readonly string[]) =>
  sql`not exists (select from sessions s where s.organization_id = ${organizationId} and s.id = any (${[...sessionIds]}::text[]) and not ${fenceCovers()})`;

/** Chains of the rejected events' sessions that nobody has: the session may be at the Auth Module in this moment, without them. */
async function claimLateChains(
  transaction: Transaction,
  terminationId: string,
  organizationId: string,
  group: readonly Rejected[],
): Promise<void> {
  const sessionIds = [...new Set(group.map(({ pending }) => pending.event.sessionId))];
  await rows(
    transaction,
    sql`with late as (
        update refresh_token_chains set termination_id = ${terminationId}, outcome = 'pending'
        where organization_id = ${organizationId} and session_id = any (${sessionIds}::text[]) and termination_id is null returning 1
      ) update terminations set chains_total = chains_total + c.n, chains_pending = chains_pending + c.n from (select count(*)::int as n from late) c where id = ${terminationId} and c.n > 0`,
  );
}
