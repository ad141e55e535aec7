import { sql } from 'kysely';
import { row, type Transaction } from '../database.ts';
import { actorOf, type AdminContext } from '../rules/access.ts';
import type { TerminationScope, TerminationView } from '../rules/termination.ts';
import { answerTermination, defaultWaitSeconds, type TerminationAnswering } from './await-termination.ts';
import type { SessionManagementService, TerminateOptions } from './index.ts';
import { dispatchInMs, insertTermination, lockScope, wakeDispatcher } from './insert-termination.ts';
import { holdLiveGrant } from './live-grant.ts';
import { recordAudit } from './record-audit.ts';

/** Ends all of a user's sessions in the caller's organization, by one fence: its cost does not depend on how many there are. */
export const createTerminateAllSessions =
  (answering: TerminationAnswering): SessionManagementService['terminateAllSessions'] =>
  (userId, context, options = {}) =>
    terminateScope(answering, { kind: 'user', id: userId }, context, options);

/** The incident button: ends everybody's sessions in the caller's organization, by one fence. */
export const createTerminateOrganizationSessions =
  (answering: TerminationAnswering): SessionManagementService['terminateOrganizationSessions'] =>
  (context, options = {}) =>
    terminateScope(answering, { kind: 'organization', id: context.organizationId }, context, options);

async function terminateScope(
  answering: TerminationAnswering,
  scope: TerminationScope,
  context: AdminContext,
  options: TerminateOptions,
): Promise<TerminationView> {
  const waitSeconds = options.waitSeconds ?? defaultWaitSeconds;
  const kept = keptSessionIds(scope, context, options);
  const terminationId = await answering.database.transaction(async (transaction) => {
    await holdLiveGrant(transaction, context);
    await lockScope(transaction, context.organizationId, scope);
    const decided =
      (await join(transaction, scope, kept, context, options)) ??
      (await insertTermination(transaction, {
        organizationId: context.organizationId,
        scope,
        cutoff: null,
        keptSessionIds: kept,
        requestedBy: actorOf(context),
        reason: options.reason ?? null,
        dispatchInMs: dispatchInMs(waitSeconds),
      }));
    await options.onDecided?.(transaction, { kind: 'termination', id: decided });
    return decided;
  });
  return answerTermination(answering, context.organizationId, terminationId, waitSeconds);
}

/** The caller's own session is kept unless `includeOwn`, where it lies in the scope: elsewhere naming it would only keep equal requests apart. */
function keptSessionIds(
  scope: TerminationScope,
  context: AdminContext,
  { exceptSessionIds = [], includeOwn = false }: TerminateOptions,
): string[] {
  const ownInScope = scope.kind === 'organization' || scope.id === context.actorId;
  const own = !includeOwn && ownInScope && context.sessionId !== null ? [context.sessionId] : [];
  return [...new Set([...exceptSessionIds, ...own])].toSorted();
}

/** A termination of the same scope that keeps the same sessions and still runs takes this request in: its cutoff rises. */
async function join(
  transaction: Transaction,
  scope: TerminationScope,
  kept: readonly string[],
  context: AdminContext,
  options: TerminateOptions,
): Promise<string | null> {
  const inMs = dispatchInMs(options.waitSeconds ?? defaultWaitSeconds);
  const joined = await row<{ id: string }>(
    transaction,
    sql`update terminations set cutoff = greatest(cutoff, current_instant()), revision = revision + 1, dispatch_count = 0,
        dispatch_after = current_instant() + ${inMs} * interval '1 millisecond'
      where id = (select id from terminations where organization_id = ${context.organizationId} and scope_kind = ${scope.kind} and scope_id = ${scope.id}
        and status = 'running' and kept_session_ids = ${[...kept]}::text[] order by requested_at desc limit 1)
        and status = 'running'
      returning id`,
  );
  if (joined === undefined) return null;
  await recordAudit(transaction, [
    {
      organizationId: context.organizationId,
      action: 'termination.joined',
      actor: actorOf(context),
      subject: scope,
      reason: options.reason ?? null,
      details: { terminationId: joined.id },
    },
  ]);
  if (inMs === 0) await wakeDispatcher(transaction);
  return joined.id;
}
