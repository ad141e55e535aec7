import { setTimeout as sleep } from 'node:timers/promises';
import { type AuthModule, AuthModuleError } from '../../auth-module/auth-module.ts';
import type { Database } from '../../database.ts';
import type { ErrorClass } from '../../rules/termination.ts';
import { type Outcomes, recordOutcomes } from './record-outcomes.ts';
import { halves, type Page, type TerminationWork } from './work.ts';

/** Pages of one termination in flight: two are as fast as four, and leave another organization's click its share of the machine. */
const LANES = 2;
/** Pages of a pass that are sent without a rest: a termination of a usual size is done by then. */
const UNPACED_PAGES = 8;
/** Then a lane rests for as long as its page took, at most this: whoever ends one session meanwhile gets the machine in between. */
const LONGEST_REST_MS = 100;
/** Calls that may fail in a row, as a whole, before the Auth Module counts as down; more each time, so that many poison chains are told apart too. */
const failuresInARow = (attempt: number): number => Math.min(12 * 2 ** Math.max(0, attempt - 1), 192);
/** Failures of a whole call that may lie in what was sent: a smaller page may pass. The others lie in the Auth Module or the way to it. */
const mayLieInThePage: ReadonlySet<ErrorClass> = new Set(['server-error', 'rejected', 'bad-response', 'timeout']);

export interface PassOptions {
  database: Database;
  authModule: AuthModule;
  work: TerminationWork;
  /** Passes before this one, in a row, that confirmed nothing; from 1. */
  attempt: number;
  signal: AbortSignal;
  /** Told of living chains that should not have been: in nobody's books, or confirmed dead before. */
  onFound?: (found: { unknown: number; resurfaced: number }) => void;
}

/** What one pass over a termination's work has met. */
export interface PassState {
  /** Something was confirmed. */
  progressed: boolean;
  /** The Auth Module counts as down: stop, and come back later. */
  broken: boolean;
  failure: { errorClass: ErrorClass; refused: boolean; retryAfterMs: number | null } | null;
  /** Chains and sessions that failed in this pass: not again before the next. */
  failed: Set<string>;
  /** Calls that were made and are not yet in the books. */
  unrecordedCalls: number;
  inARow: number;
  /** Pages that were sent. */
  pages: number;
  /** Of the last pages, still being written down: the Auth Module is asked meanwhile what is left. */
  recordings: Promise<void>[];
}

export const newPass = (): PassState => ({
  progressed: false,
  broken: false,
  failure: null,
  failed: new Set(),
  unrecordedCalls: 0,
  inARow: 0,
  pages: 0,
  recordings: [],
});

/** Resolves when all that was confirmed is in the books; rejects with the database's error. */
export async function recorded(state: PassState): Promise<void> {
  await Promise.all(state.recordings.splice(0));
}

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
  const { id: terminationId, organizationId } = work;
  const record = (outcomes: Pick<Outcomes, 'chains' | 'sessions' | 'errorClass'>) =>
    recordOutcomes(database, { terminationId, organizationId, page, ...outcomes, calls: takeCalls(state, 1) });
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

/** Remembers why a whole call was not answered, and when that means that the Auth Module is down. */
export function noteFailure({ attempt }: Pick<PassOptions, 'attempt'>, state: PassState, error: AuthModuleError): void {
  state.failure = { errorClass: error.errorClass, refused: error.refused, retryAfterMs: error.retryAfterMs };
  state.inARow += 1;
  state.broken ||= !mayLieInThePage.has(error.errorClass) || state.inARow >= failuresInARow(attempt);
}

/** The calls that are still to be counted, and `more`; they are counted once. */
export function takeCalls(state: PassState, more: number): number {
  const calls = state.unrecordedCalls + more;
  state.unrecordedCalls = 0;
  return calls;
}
