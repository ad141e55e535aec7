import { sql } from 'kysely';
import { row, type Transaction } from '../database.ts';
import { notFound } from '../errors.ts';
import { actorOf, type AdminContext } from '../rules/access.ts';
import { authorizeDecision } from './authorize-decision.ts';
import { answerTermination, defaultWaitSeconds, type TerminationAnswering } from './await-termination.ts';
import type { SessionManagementService, TerminateOptions } from './index.ts';
import { claimSession, dispatchInMs, insertTermination } from './insert-termination.ts';
import { recordAudit } from './record-audit.ts';
import { readTermination, type TerminationRow } from './termination-view.ts';

/**
 * Ends one session of the caller's organization and its chains; from the commit on it is active nowhere here. A session
 * that a termination has ended already is answered with that termination; a signed-out or expired one is terminated
 * like any other, for its chains may live. Throws `not-found` for an id that is absent here.
 */
export const createTerminateSession =
  (answering: TerminationAnswering): SessionManagementService['terminateSession'] =>
  async (sessionId, context, options = {}) => {
    const waitSeconds = options.waitSeconds ?? defaultWaitSeconds;
    const decided = await answering.database.transaction((transaction) =>
      decide(transaction, sessionId, context, options, waitSeconds),
    );
    return answerTermination(answering, decided, waitSeconds);
  };

async function decide(
  transaction: Transaction,
  sessionId: string,
  context: AdminContext,
  options: TerminateOptions,
  waitSeconds: number,
): Promise<TerminationRow> {
  const { organizationId } = context;
  await authorizeDecision(transaction, context, { sessionId });
  // read in a statement of its own: after the lock, so that a decision which was waited for is seen
  const session = await row<{ over_termination_id: string | null }>(
    transaction,
    sql`select over_termination_id from session_states where organization_id = ${organizationId} and id = ${sessionId}`,
  );
  if (session === undefined) throw notFound();
  const endedBy = session.over_termination_id;
  const ended = endedBy === null ? undefined : await readTermination(transaction, organizationId, endedBy);
  const decided = ended ?? (await end(transaction, sessionId, context, options, waitSeconds));
  if (ended?.status === 'running') {
    await recordAudit(transaction, [
      {
        organizationId,
        action: 'termination.joined',
        actor: actorOf(context),
        subject: { kind: 'session', id: sessionId },
        reason: options.reason ?? null,
        details: { terminationId: ended.id },
      },
    ]);
  }
  await options.onDecided?.(transaction, { kind: 'termination', id: decided.id });
  return decided;
}

async function end(
  transaction: Transaction,
  sessionId: string,
  context: AdminContext,
  options: TerminateOptions,
  waitSeconds: number,
): Promise<TerminationRow> {
  const { organizationId } = context;
  const { id } = await insertTermination(transaction, {
    organizationId,
    scope: { kind: 'session', id: sessionId },
    fenceOf: null,
    keptSessionIds: [],
    requestedBy: actorOf(context),
    reason: options.reason ?? null,
    dispatchInMs: dispatchInMs(waitSeconds),
  });
  return claimSession(transaction, id, organizationId, sessionId);
}
