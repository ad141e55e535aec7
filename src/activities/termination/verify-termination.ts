import { cancellationSignal } from '@temporalio/activity';
import { sql } from 'kysely';
import { row } from '../../database.ts';
import { nextAttempt } from '../../rules/retry.ts';
import type { ErrorClass } from '../../rules/termination.ts';
import type { TerminationActivityOptions } from './pass-result.ts';
import { look } from './sweep.ts';
import { readWork } from './work.ts';

export interface VerificationResult {
  /** `alive`: a chain came back, or the termination was decided anew; it runs again. */
  outcome: 'dead' | 'alive' | 'unanswered' | 'gone';
  errorClass: ErrorClass | null;
  lookAgainInMs: number;
}

/**
 * Asks the Auth Module once more for chains alive in scope. One that came back is pending again, audited, and the
 * termination runs again; where there is none and this is the `last` time, the termination is verified.
 */
export const createVerifyTermination =
  (options: TerminationActivityOptions) =>
  async ({
    terminationId,
    attempt,
    last,
    nextInMs,
  }: {
    terminationId: string;
    attempt: number;
    last: boolean;
    nextInMs: number;
  }): Promise<VerificationResult> => {
    const work = await readWork(options.database, terminationId);
    if (work === undefined) return { outcome: 'gone', errorClass: null, lookAgainInMs: 0 };
    if (work.status === 'running') return { outcome: 'alive', errorClass: null, lookAgainInMs: 0 };
    const { alive, state } = await look({ ...options, work, attempt, signal: cancellationSignal() });
    // alive, and another termination's to kill: this one is not verified before it is dead
    if (alive !== null && alive > 0) state.failure ??= { errorClass: 'rejected', refused: false, retryAfterMs: null };
    const errorClass = state.failure?.errorClass ?? null;
    const lookAgainInMs =
      state.failure === null ? nextInMs : nextAttempt({ attempt, ...state.failure, random: Math.random() }).delayMs;
    const stillCompleted = await row(
      options.database.pool,
      sql`update terminations set attempts = attempts + ${state.unrecordedCalls}::int, last_error_class = coalesce(${errorClass}, last_error_class),
          verified_at = case when ${last && alive === 0} then current_instant() end,
          next_look_at = current_instant() + ${lookAgainInMs} * interval '1 millisecond',
          dispatch_after = current_instant() + ${lookAgainInMs + 60_000} * interval '1 millisecond', dispatch_count = 0
        where id = ${work.id} and status = 'completed' and revision = ${work.revision} returning 1`,
    );
    if (stillCompleted === undefined) return { outcome: 'alive', errorClass, lookAgainInMs: 0 };
    options.database.tell('termination_changes', [work.id]);
    return { outcome: alive === 0 ? 'dead' : 'unanswered', errorClass, lookAgainInMs };
  };
