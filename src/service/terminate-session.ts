import { sql } from 'kysely';
import { row, type Transaction } from '../database.ts';
import { notFound } from '../errors.ts';
import { actorOf, type AdminContext } from '../rules/access.ts';
import { answerTermination, defaultWaitSeconds, type TerminationAnswering } from './await-termination.ts';
import type { SessionManagementService, TerminateOptions } from './index.ts';
import { claimSession, dispatchInMs, insertTermination } from './insert-termination.ts';
import { holdLiveGrant } from './live-grant.ts';
import { recordAudit } from './record-audit.ts';

/**
 * Ends one session of the caller's organization and its chains; from the commit on it is active nowhere here. A session
 * that a termination has ended already is answered with that termination; a signed-out or expired one is terminated
 * like any other, for its chains may live. Throws `not-found` for an id that is absent here.
 */
export const createTerminateSession =
  (answering: TerminationAnswering): SessionManagementService['terminateSession'] =>
  async (sessionId, context, options = {}) => {
    const waitSeconds = options.waitSeconds ?? defaultWaitSeconds;
    const terminationId = await answering.database.transaction((transaction) =>
      decide(transaction, sessionId, context, options, waitSeconds),
    );
    return answerTermination(answering, context.organizationId, terminationId, waitSeconds);
  };

async function decide(
  transaction: Transaction,
  sessionId: string,
  context: AdminContext,
  options: TerminateOptions,
  waitSeconds: number,
): Promise<string> {
  await holdLiveGrant(transaction, context);
  const { organizationId } = context;
  const locked = await row(
    transaction,
    sql`select 1 from sessions where organization_id = ${organizationId} and id = ${sessionId} for update`,
  );
  if (locked === undefined) throw notFound();
  // read in a statement of its own: after the lock, so that a decision which was waited for is seen
  const state = await row<{ termination_id: string | null; status: string | null }>(
    transaction,
    sql`select s.over_termination_id as termination_id, t.status from session_states s left join terminations t on t.id = s.over_termination_id
      where s.organization_id = ${organizationId} and s.id = ${sessionId}`,
  );
  const ended = state?.termination_id ?? null;
  const terminationId = ended ?? (await end(transaction, sessionId, context, options, waitSeconds));
  if (ended !== null && state?.status === 'running') {
    await recordAudit(transaction, [
      {
        organizationId,
        action: 'termination.joined',
        actor: actorOf(context),
        subject: { kind: 'session', id: sessionId },
        reason: options.reason ?? null,
        details: { terminationId },
      },
    ]);
  }
  await options.onDecided?.(transaction, { kind: 'termination', id: terminationId });
  return terminationId;
}

async function end(
  transaction: Transaction,
  sessionId: string,
  context: AdminContext,
  options: TerminateOptions,
  waitSeconds: number,
): Promise<string> {
  const { organizationId } = context;
  const terminationId = await insertTermination(transaction, {
    organizationId,
    scope: { kind: 'session', id: sessionId },
    cutoff: null,
    keptSessionIds: [],
    requestedBy: actorOf(context),
    reason: options.reason ?? null,
    dispatchInMs: dispatchInMs(waitSeconds),
  });
  await claimSession(transaction, terminationId, organizationId, sessionId);
  return terminationId;
}
