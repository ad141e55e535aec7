import { activityInfo, cancellationSignal, Context, heartbeat } from '@temporalio/activity';
import { sql } from 'kysely';
import type { AuthModule } from '../../auth-module/auth-module.ts';
import { type Database, row, rows } from '../../database.ts';
import { nextAttempt } from '../../rules/retry.ts';
import type { ErrorClass } from '../../rules/termination.ts';
import { endSupportSessionsUnder } from '../../service/session-events/parent-ended.ts';
import { newPass, type PassOptions, type PassState, sendPages, takeCalls } from './pass.ts';
import { sweep } from './sweep.ts';
import {
  leftovers,
  nextPage,
  type Page,
  PAGE_SIZE,
  type Position,
  readWork,
  type TerminationWork,
  unclaimed,
} from './work.ts';

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

const HEARTBEAT_MS = 2_000;
/** A pass gives the workflow a sign of life at least this often, so that signals and deploys are not kept waiting. */
const SLICE_MS = 60_000;
const LEFTOVERS = 5_000;
/** A pass that failed nowhere and is not complete met a row in another's hands, or a new decision. */
const SOON_MS = 100;

/**
 * One pass over a termination: what was left, what no termination has yet, then the sweep; completed only by the revision
 * that was read before it began. Support sessions that were opened from what it ends get terminations of their own. Repeating it is harmless. Throws only for the database, which Temporal retries.
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
      if (work.mayHaveSupportSessions)
        while (await options.database.transaction((transaction) => endSupportSessionsUnder(transaction, work)));
      await sendPages(pass, state, pagesOf(options.database, work, inTime));
      const drained = !state.broken && !inTime.isOver();
      const swept = drained && (await sweep(pass, state));
      if (swept && state.failed.size === 0 && (await complete(options, work, state)))
        return completedResult(options, work, 0);
      signal.throwIfAborted();
      return await pendingResult(options.database, work, state, attempt, inTime.isOver());
    } finally {
      clearInterval(beat);
    }
  };

const nothingLeft = {
  pendingSessions: 0,
  pendingChains: 0,
  errorClass: null,
  attempt: 0,
  lookAgainInMs: 0,
  verifyDelaysMs: [],
  grantId: null,
};

function sliceOf(signal: AbortSignal) {
  const end = performance.now() + SLICE_MS;
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

/**
 * The one write that says "completed": only for the revision that was swept, only with nothing pending, with its audit
 * event; and only with no session left that nobody has.
 */
async function complete(
  { database, verifyAfterSeconds }: TerminationActivityOptions,
  work: TerminationWork,
  state: PassState,
): Promise<boolean> {
  const completed = await row(
    database.pool,
    sql`with done as (
        update terminations set status = 'completed', completed_at = current_instant(), attempts = attempts + ${takeCalls(state, 0)}::int, progress_at = current_instant(),
          next_look_at = current_instant() + ${verifyAfterSeconds} * interval '1 second',
          dispatch_after = current_instant() + (${verifyAfterSeconds} + 60) * interval '1 second', dispatch_count = 0
        where id = ${work.id} and revision = ${work.revision} and status = 'running' and sessions_pending = 0 and chains_pending = 0
          and not exists (select from sessions s where ${unclaimed(work)})
        returning *
      ), fact as (
        insert into audit_events (organization_id, at, action, actor, subject_kind, subject_id, details)
        select organization_id, completed_at, 'termination.completed', '{"kind":"system","id":"session-management","sessionId":null,"supportAccessGrantId":null}', scope_kind, scope_id,
          jsonb_build_object('terminationId', id, 'sessions', jsonb_build_object('total', sessions_total),
            'chains', jsonb_build_object('total', chains_total, 'confirmed', chains_confirmed, 'alreadyDead', chains_already_dead), 'attempts', attempts)
        from done
      )
      select pg_notify('termination_changes', id::text) from done`,
  );
  return completed !== undefined;
}

/** The verifications that are due from `completed` on: after `VERIFY_AFTER_SECONDS`, and once no access token from before can live. */
function completedResult(
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
async function pendingResult(
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
      where id = ${work.id} and status = 'running' and revision = ${work.revision} returning sessions_pending, chains_pending, pg_notify('termination_changes', id::text)`,
  );
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
