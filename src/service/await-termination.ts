import type { Database } from '../database.ts';
import type { Deliver } from '../dispatcher/deliver.ts';
import { notFound } from '../errors.ts';
import type { TerminationView } from '../rules/termination.ts';
import type { ChangeFeed } from './change-feed.ts';
import { readTermination, type TerminationRow, terminationView } from './termination-view.ts';

export interface TerminationAnswering {
  database: Database;
  changes: ChangeFeed;
  /** Delivers a decision to the workflow engine within about half a second; false where it could not. */
  deliver: Deliver;
  accessTokenTtlSeconds: number;
  /** Aborts when the process begins to drain: nobody is kept waiting then. */
  draining: AbortSignal;
}

export const defaultWaitSeconds = 2;

/**
 * Shows a decision as its transaction left it, or delivers it and waits up to `waitSeconds` for `completed`, or until the
 * process drains. Whatever
 * happens here, the decision stands: a failed delivery is the dispatcher's, and is answered at once with the termination
 * still running.
 */
export async function answerTermination(
  { database, changes, deliver, accessTokenTtlSeconds, draining }: TerminationAnswering,
  decided: TerminationRow,
  waitSeconds: number,
): Promise<TerminationView> {
  if (waitSeconds === 0 || decided.status === 'completed') return terminationView(decided, accessTokenTtlSeconds);
  using subscription = changes.subscribe(decided.id);
  const deadline = performance.now() + waitSeconds * 1_000;
  const delivered = await deliver({
    kind: 'termination',
    id: decided.id,
    organizationId: decided.organization_id,
    revision: decided.revision,
    scope: `${decided.scope_kind}:${decided.scope_id}`,
  });
  for (;;) {
    if (delivered) await subscription.next(deadline - performance.now(), draining);
    const found = await readTermination(database.pool, decided.organization_id, decided.id);
    if (found === undefined) throw notFound();
    if (found.status === 'completed' || !delivered || draining.aborted || performance.now() >= deadline)
      return terminationView(found, accessTokenTtlSeconds);
  }
}
