import type { AuthModule, AuthModuleError } from '../../auth-module/auth-module.ts';
import type { Database } from '../../database.ts';
import type { ErrorClass } from '../../rules/termination.ts';
import type { TerminationWork } from './work.ts';

/** Calls that may fail in a row, as a whole, before the Auth Module counts as down; more each time, so that many poison chains are told apart too. */
const failuresInARow = (attempt: number): number => Math.min(12 * 2 ** Math.max(0, attempt - 1), 192);
/** Failures of a whole call that may lie in what was sent: a smaller page may pass. The others lie in the Auth Module or the way to it. */
export const mayLieInThePage: ReadonlySet<ErrorClass> = new Set([
  'server-error',
  'rejected',
  'bad-response',
  'timeout',
]);

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
