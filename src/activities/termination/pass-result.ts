import { activityInfo, Context } from '@temporalio/activity';
import { sql } from 'kysely';
import type { AuthModule } from '../../auth-module/auth-module.ts';
import { type Database, rows } from '../../database.ts';
import { nextAttempt } from '../../rules/retry.ts';
import type { ErrorClass } from '../../rules/termination.ts';
import { type PassOptions, type PassState, takeCalls } from './pass.ts';
import type { TerminationWork } from './work.ts';

export interface TerminationActivityOptions {
  database: Database;
  authModule: AuthModule;
  verifyAfterSeconds: number;
  accessTokenTtlSeconds: number;
  onFound?: PassOptions['onFound'];
}

/** What the workflow learns of one pass: counts and codes only. */
export interface PassResult {
  outcome: 'completed' | 'pending' | 'gone';
  pendingSessions: number;
  pendingChains: number;
  errorClass: ErrorClass | null;
  /** Failed passes in a row, for the next call. */
  attempt: number;
  /** When to look again: after `pending`, the next attempt; 0 is at once. */
  lookAgainInMs: number;
  /** After `completed`: the delays between the verifications that are still to come. */
  verifyDelaysMs: number[];
  /** After `completed`, for scope `grant`: the grant whose workflow waits for it. */
  grantId: string | null;
}

/** A pass that failed nowhere and is not complete met a row in another's hands, or a new decision. */
const SOON_MS = 100;

export const nothingLeft = {
  pendingSessions: 0,
  pendingChains: 0,
  errorClass: null,
  attempt: 0,
  lookAgainInMs: 0,
  verifyDelaysMs: [],
  grantId: null,
};

/** The verifications that are due from `completed` on: after `VERIFY_AFTER_SECONDS`, and once no access token from before can live. */
export function completedResult(
  { verifyAfterSeconds, accessTokenTtlSeconds }: TerminationActivityOptions,
  { scopeKind, scopeId }: TerminationWork,
  completedMsAgo: number,
): PassResult {
  const due = [...new Set([verifyAfterSeconds, accessTokenTtlSeconds])]
    .toSorted((a, b) => a - b)
    .map((seconds) => Math.max(1, seconds * 1_000 - completedMsAgo));
  return {
    ...nothingLeft,
    outcome: 'completed',
    verifyDelaysMs: due.map((ms, n) => Math.max(1, Math.round(ms - (due[n - 1] ?? 0)))),
    grantId: scopeKind === 'grant' ? scopeId : null,
  };
}

/** Writes when the next attempt comes, which is how the dispatcher can tell patience from silence. */
export async function pendingResult(
  database: Database,
  work: TerminationWork,
  state: PassState,
  attempt: number,
  sliceIsOver: boolean,
): Promise<PassResult> {
  const failures = state.failure === null ? 0 : state.progressed ? 1 : attempt + 1;
  const delayMs =
    sliceIsOver && !state.broken
      ? 0
      : state.failure === null
        ? SOON_MS
        : nextAttempt({ attempt: failures, ...state.failure, random: Math.random() }).delayMs;
  const [left] = await rows<{ sessions_pending: number; chains_pending: number }>(
    database.pool,
    sql`update terminations set attempts = attempts + ${takeCalls(state, 0)}::int, last_error_class = coalesce(${state.failure?.errorClass ?? null}, last_error_class),
        next_look_at = current_instant() + ${delayMs} * interval '1 millisecond',
        dispatch_after = current_instant() + ${delayMs + 60_000} * interval '1 millisecond'
      where id = ${work.id} and status = 'running' and revision = ${work.revision} returning sessions_pending, chains_pending`,
  );
  if (left !== undefined) database.tell('termination_changes', [work.id]);
  Context.current().log.info('termination pass', {
    terminationId: work.id,
    organizationId: work.organizationId,
    errorClass: state.failure?.errorClass ?? null,
    attempt: activityInfo().attempt,
  });
  return {
    ...nothingLeft,
    outcome: 'pending',
    pendingSessions: left?.sessions_pending ?? 0,
    pendingChains: left?.chains_pending ?? 0,
    errorClass: state.failure?.errorClass ?? null,
    attempt: failures,
    lookAgainInMs: left === undefined ? 0 : delayMs,
  };
}
