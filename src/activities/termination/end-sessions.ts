import { cancellationSignal, heartbeat } from '@temporalio/activity';
import type { Database, Transaction } from '../../database.ts';
import { endSupportSessionsUnder } from '../../service/session-events/parent-ended.ts';
import { completeTermination } from './complete-termination.ts';
import { newPass, type PassOptions, recorded } from './pass.ts';
import { sendPages } from './send-pages.ts';
import {
  completedResult,
  nothingLeft,
  type PassResult,
  pendingResult,
  type TerminationActivityOptions,
} from './pass-result.ts';
import { sweep } from './sweep.ts';
import { leftovers, nextPage, type Page, PAGE_SIZE, type Position, readWork, type TerminationWork } from './work.ts';

const HEARTBEAT_MS = 2_000;
/** A pass gives the workflow a sign of life at least this often, so that signals and deploys are not kept waiting. */
const SLICE_MS = 60_000;
/** Of its own, so that calls which hang in the organization don't keep support sessions elsewhere alive. */
const SUPPORT_SLICE_MS = 10_000;
const LEFTOVERS = 5_000;

/**
 * One pass over a termination: what was left, what no termination has yet, then the sweep; completed only by the revision
 * that was read before it began. Support sessions that were opened from what it ends get terminations
 * of their own, once its own chains were asked for. Repeating it is harmless. Throws only for the database, which Temporal retries.
 */
export const createEndSessions =
  (options: TerminationActivityOptions) =>
  async ({ terminationId, attempt }: { terminationId: string; attempt: number }): Promise<PassResult> => {
    const work = await readWork(options.database, terminationId);
    if (work === undefined) return { ...nothingLeft, outcome: 'gone' };
    if (work.status === 'completed') return completedResult(options, work, work.completedMsAgo ?? 0);
    const beat = setInterval(heartbeat, HEARTBEAT_MS, undefined);
    try {
      const signal = cancellationSignal();
      const state = newPass();
      const pass: PassOptions = { ...options, work, attempt, signal };
      const inTime = sliceOf(signal);
      await sendPages(pass, state, pagesOf(options.database, work, inTime));
      const drained = !state.broken && !inTime.isOver();
      const swept = drained && (await sweep(pass, state));
      await recorded(state);
      // after the own ones: there may be thousands, in other organizations, and nobody here waits for them
      const children = work.mayHaveSupportSessions
        ? await endSupportSessions(options.database, work, sliceOf(signal, SUPPORT_SLICE_MS))
        : 'ended';
      if (swept && children === 'ended' && state.failed.size === 0 && (await completeTermination(options, work, state)))
        return completedResult(options, work, 0);
      signal.throwIfAborted();
      return await pendingResult(options.database, work, state, attempt, inTime.isOver() || children === 'left');
    } finally {
      clearInterval(beat);
    }
  };

/** In rounds, for as long as the slice has; `left` is for the next pass. */
async function endSupportSessions(
  database: Database,
  work: TerminationWork,
  slice: { isOver(): boolean },
): Promise<'ended' | 'left'> {
  const round = (transaction: Transaction) => endSupportSessionsUnder(transaction, work);
  while (await database.transaction(round)) if (slice.isOver()) return 'left';
  return 'ended';
}

function sliceOf(signal: AbortSignal, ms = SLICE_MS) {
  const end = performance.now() + ms;
  return { isOver: () => signal.aborted || performance.now() > end };
}

async function* pagesOf(database: Database, work: TerminationWork, slice: { isOver(): boolean }): AsyncGenerator<Page> {
  yield* await leftovers(database, work, LEFTOVERS);
  for (let after: Position | null = null; !slice.isOver();) {
    const next = await nextPage(database, work, after);
    if (next === null) return;
    yield* next.pages;
    if (next.pages[0]?.sessionIds.length !== PAGE_SIZE) return;
    after = next.last;
  }
}
