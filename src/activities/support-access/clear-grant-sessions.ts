import { cancellationSignal } from '@temporalio/activity';
import { AuthModuleError } from '../../auth-module/auth-module.ts';
import { nextAttempt } from '../../rules/retry.ts';
import type { ErrorClass } from '../../rules/termination.ts';
import type { TerminationActivityOptions } from '../termination/pass-result.ts';
import {
  type GrantBooks,
  readBooks,
  recordCleared,
  recordNextLook,
  recordSettled,
  startTermination,
} from './grant-books.ts';
import { findUnclaimedChain } from './find-unclaimed-chain.ts';

export interface ClearGrantInput {
  grantId: string;
  /** Questions to the Auth Module in a row that were not answered. */
  attempt: number;
  /** Looks in a row that found a termination still running. */
  waits: number;
  /** The access-token lifetime has passed since the sessions were cleared. */
  last: boolean;
  /** How long the Auth Module is waited for. */
  patienceMs: number;
}

/** What the workflow learns: counts and codes only. */
export interface ClearGrantResult {
  /** `waiting`: for a termination. `unanswered`: the Auth Module did not say. `cleared`: nothing is left, one look is still to come. */
  outcome: 'waiting' | 'unanswered' | 'cleared' | 'settled' | 'gone';
  sessionsLeft: number;
  errorClass: ErrorClass | null;
  attempt: number;
  waits: number;
  lookAgainInMs: number;
}

const firstWaitMs = 2_000;
const longestWaitMs = 300_000;

/**
 * Looks whether anything opened under an ended grant may still live, here and at the Auth Module. What is found becomes
 * a termination of scope `grant`; where nothing is left the grant is cleared, and settled at the `last` look.
 * Throws only for the database.
 */
export const createClearGrantSessions =
  (options: TerminationActivityOptions) =>
  async (input: ClearGrantInput): Promise<ClearGrantResult> => {
    const books = await readBooks(options.database, input.grantId);
    if (books === undefined) return { ...result(undefined), outcome: 'gone' };
    if (books.isTerminating) return wait(options, books, input.waits);
    if (books.unclaimed > 0) return terminate(options, books);
    const answer = await ask(options, books, input.patienceMs);
    if (answer instanceof AuthModuleError) return unanswered(options, books, input.attempt + 1, answer);
    if (answer) return terminate(options, books);
    if (books.pending > 0) return wait(options, books, input.waits);
    return finish(options, books, input.last);
  };

/** Whether a chain lives that nobody is killing. Our own impatience is the Auth Module's time-out. */
async function ask(
  { database, authModule }: TerminationActivityOptions,
  books: GrantBooks,
  patienceMs: number,
): Promise<boolean | AuthModuleError> {
  const impatience = AbortSignal.timeout(patienceMs);
  try {
    return await findUnclaimedChain({
      database,
      authModule,
      books,
      signal: AbortSignal.any([cancellationSignal(), impatience]),
    });
  } catch (error) {
    if (error instanceof AuthModuleError) return error;
    if (impatience.aborted && error === impatience.reason) return new AuthModuleError('timeout');
    throw error;
  }
}

async function terminate({ database }: TerminationActivityOptions, books: GrantBooks): Promise<ClearGrantResult> {
  await startTermination(database, books, firstWaitMs);
  return { ...result(books), outcome: 'waiting', waits: 1, lookAgainInMs: firstWaitMs };
}

/** The termination tells the workflow when it is completed; this is for the signal that gets lost. */
async function wait(
  { database }: TerminationActivityOptions,
  books: GrantBooks,
  waits: number,
): Promise<ClearGrantResult> {
  const lookAgainInMs = Math.min(firstWaitMs * 2 ** Math.min(waits, 10), longestWaitMs);
  await recordNextLook(database, books.id, lookAgainInMs);
  return { ...result(books), outcome: 'waiting', waits: waits + 1, lookAgainInMs };
}

async function unanswered(
  { database }: TerminationActivityOptions,
  books: GrantBooks,
  attempt: number,
  error: AuthModuleError,
): Promise<ClearGrantResult> {
  const { errorClass, refused, retryAfterMs } = error;
  const { delayMs } = nextAttempt({ attempt, errorClass, refused, retryAfterMs, random: Math.random() });
  await recordNextLook(database, books.id, delayMs);
  return { ...result(books), outcome: 'unanswered', errorClass, attempt, lookAgainInMs: delayMs };
}

async function finish(
  { database, accessTokenTtlSeconds }: TerminationActivityOptions,
  books: GrantBooks,
  last: boolean,
): Promise<ClearGrantResult> {
  if (books.clearedMsAgo === null) {
    const lookAgainInMs = accessTokenTtlSeconds * 1_000;
    await recordCleared(database, books.id, lookAgainInMs);
    return { ...result(books), outcome: 'cleared', lookAgainInMs };
  }
  const leftMs = Math.ceil(accessTokenTtlSeconds * 1_000 - books.clearedMsAgo);
  if (last || leftMs <= 0) {
    await recordSettled(database, books.id);
    return { ...result(books), outcome: 'settled' };
  }
  await recordNextLook(database, books.id, leftMs);
  return { ...result(books), outcome: 'cleared', lookAgainInMs: leftMs };
}

const result = (books: GrantBooks | undefined) => ({
  sessionsLeft: books === undefined ? 0 : books.unclaimed + books.pending,
  errorClass: null,
  attempt: 0,
  waits: 0,
  lookAgainInMs: 0,
});
