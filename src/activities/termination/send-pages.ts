import { setTimeout as sleep } from 'node:timers/promises';
import { AuthModuleError } from '../../auth-module/auth-module.ts';
import { mayLieInThePage, noteFailure, type PassOptions, type PassState, takeCalls } from './pass.ts';
import { type Outcomes, recordOutcomes } from './record-outcomes.ts';
import { halves, type Page } from './work.ts';

/** Pages of one termination in flight: two are as fast as four, and leave another organization's click its share of the machine. */
const LANES = 2;
/** Pages of a pass that are sent without a rest: a termination of a usual size is done by then. */
const UNPACED_PAGES = 8;
/** Then a lane rests for as long as its page took, at most this: whoever ends one session meanwhile gets the machine in between. */
const LONGEST_REST_MS = 100;

/**
 * Sends every page, several at a time. A page that was refused as a whole comes again in halves, after all others had
 * their turn: one poison chain holds up nobody. Never throws for the Auth Module; `state` tells what it did. The last
 * outcomes may still be on their way into the books when it resolves: await `recorded` before they are read.
 */
export async function sendPages(options: PassOptions, state: PassState, pages: AsyncIterator<Page>): Promise<void> {
  const again: Page[] = [];
  let isLast = false;
  const next = async (): Promise<Page | undefined> => {
    if (state.broken || options.signal.aborted) return undefined;
    const fresh = await pages.next();
    isLast ||= fresh.done === true;
    return fresh.done ? again.shift() : fresh.value;
  };
  const lane = async () => {
    for (let page = await next(); page !== undefined; page = await next()) {
      const began = performance.now();
      const { parts, recording } = await send(options, state, page);
      again.push(...parts);
      if (isLast) state.recordings.push(heldBack(recording));
      else await recording;
      state.pages += 1;
      if (!isLast && state.pages > UNPACED_PAGES) await rest(performance.now() - began, options.signal);
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  // a lane that found nothing to do may have left before another one's page came back in halves
  if (again.length > 0 && !state.broken && !options.signal.aborted) await sendPages(options, state, noPages(again));
}

const rest = (ms: number, signal: AbortSignal): Promise<unknown> =>
  sleep(Math.min(ms, LONGEST_REST_MS), undefined, { signal }).catch(() => undefined);

/** It is awaited later: until then its failure must not count as one that nobody handles. */
function heldBack(recording: Promise<void>): Promise<void> {
  recording.catch(() => undefined);
  return recording;
}

async function* noPages(again: Page[]): AsyncGenerator<Page> {
  yield* again;
}

interface Sent {
  /** What is worth another try in this pass. */
  parts: Page[];
  recording: Promise<void>;
}

/** Sends one page, and begins to write down what was confirmed. */
async function send(options: PassOptions, state: PassState, page: Page): Promise<Sent> {
  const { work, authModule, database } = options;
  const { id: terminationId, organizationId, mayBeOver } = work;
  const record = (outcomes: Pick<Outcomes, 'chains' | 'sessions' | 'errorClass'>) =>
    recordOutcomes(database, {
      terminationId,
      organizationId,
      mayBeOver,
      page,
      ...outcomes,
      calls: takeCalls(state, 1),
    });
  try {
    const result = await authModule.invalidateRefreshChains({ organizationId, terminationId, ...page }, options.signal);
    state.inARow = 0;
    state.progressed ||= [...result.chains.values(), ...result.sessions.values()].some(
      (outcome) => outcome !== 'failed',
    );
    if (result.errorClass !== null) {
      state.failure = { errorClass: result.errorClass, refused: false, retryAfterMs: null };
      for (const [ids, told] of [
        [page.chainIds, result.chains],
        [page.sessionIds, result.sessions],
      ] as const) {
        for (const id of ids) if ((told.get(id) ?? 'failed') === 'failed') state.failed.add(id);
      }
    }
    return { parts: [], recording: record(result) };
  } catch (error) {
    if (!(error instanceof AuthModuleError)) throw error;
    noteFailure(options, state, error);
    const recording = record({ chains: new Map(), sessions: new Map(), errorClass: error.errorClass });
    const parts = mayLieInThePage.has(error.errorClass) ? halves(page) : [];
    if (parts.length === 0) for (const id of [...page.chainIds, ...page.sessionIds]) state.failed.add(id);
    return { parts, recording };
  }
}
