import type { Database } from '../database.ts';
import { notFound } from '../errors.ts';
import type { TerminationView } from '../rules/termination.ts';
import type { ChangeFeed } from './change-feed.ts';
import { readTermination, terminationView } from './termination-view.ts';

export interface TerminationAnswering {
  database: Database;
  changes: ChangeFeed;
  /** Delivers a decision to the workflow engine within about half a second; false where it could not. */
  deliver: (terminationId: string) => Promise<boolean>;
  accessTokenTtlSeconds: number;
}

export const defaultWaitSeconds = 2;

/**
 * Delivers the decision and waits up to `waitSeconds` for `completed`. Whatever happens here, the decision stands: a
 * failed delivery is the dispatcher's, and is answered at once with the termination still running.
 */
export async function answerTermination(
  { database, changes, deliver, accessTokenTtlSeconds }: TerminationAnswering,
  organizationId: string,
  terminationId: string,
  waitSeconds: number,
): Promise<TerminationView> {
  const read = async () => {
    const found = await readTermination(database.pool, organizationId, terminationId);
    if (found === undefined) throw notFound();
    return terminationView(found, accessTokenTtlSeconds);
  };
  if (waitSeconds === 0) return read();
  using subscription = changes.subscribe(terminationId);
  const deadline = performance.now() + waitSeconds * 1_000;
  const delivered = await deliver(terminationId);
  for (;;) {
    const termination = await read();
    const left = deadline - performance.now();
    if (termination.status === 'completed' || !delivered || left <= 0) return termination;
    await subscription.next(left);
  }
}
