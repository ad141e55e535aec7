import { actorOf, type AdminContext } from '../rules/access.ts';
import type { TerminationScope, TerminationView } from '../rules/termination.ts';
import { answerTermination, defaultWaitSeconds, type TerminationAnswering } from './await-termination.ts';
import { authorizeDecision } from './authorize-decision.ts';
import type { SessionManagementService, TerminateOptions } from './index.ts';
import { dispatchInMs, insertTermination } from './insert-termination.ts';

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
  const decided = await answering.database.transaction(async (transaction) => {
    await authorizeDecision(transaction, context, { scope });
    const termination = await insertTermination(transaction, {
      organizationId: context.organizationId,
      scope,
      fenceOf: null,
      keptSessionIds: kept,
      requestedBy: actorOf(context),
      reason: options.reason ?? null,
      joins: true,
      dispatchInMs: dispatchInMs(waitSeconds),
    });
    await options.onDecided?.(transaction, { kind: 'termination', id: termination.id });
    return termination;
  });
  return answerTermination(answering, decided, waitSeconds);
}

/** The caller's own session is kept unless `includeOwn`, where it lies in the scope: elsewhere naming it would only keep equal requests apart. */
function keptSessionIds(
  scope: TerminationScope,
  context: AdminContext,
  { exceptSessionIds = [], includeOwn = false }: TerminateOptions,
): string[] {
  const ownInScope = context.isSessionHere && (scope.kind === 'organization' || scope.id === context.actorId);
  const own = !includeOwn && ownInScope && context.sessionId !== null ? [context.sessionId] : [];
  return [...new Set([...exceptSessionIds, ...own])].toSorted();
}
