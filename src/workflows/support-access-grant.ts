import {
  allHandlersFinished,
  CancellationScope,
  condition,
  continueAsNew,
  log,
  proxyActivities,
  proxyLocalActivities,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { Activities } from '../activities/index.ts';
import { isOpaqueId } from '../rules/identifier.ts';
import {
  activate,
  changed,
  grantState,
  type GrantActivation,
  type GrantInput,
  type GrantState,
  retryNow,
  revoke,
} from './messages.ts';

// Quick by nature, and inside the workflow task: a grant without sessions costs no task of its own for them. Where the
// database is away the wait becomes a timer after a second, so that no workflow task is held for it.
const local = proxyLocalActivities<Activities>({
  startToCloseTimeout: '10 seconds',
  localRetryThreshold: '1 second',
  retry: { initialInterval: '200 milliseconds', backoffCoefficient: 2, maximumInterval: '30 seconds' },
});
// An Auth Module that hangs must not hold workflow tasks: it is asked in one briefly, and again only outside.
const patient = proxyActivities<Activities>({
  startToCloseTimeout: '2 minutes',
  retry: { initialInterval: '500 milliseconds', backoffCoefficient: 2, maximumInterval: '30 seconds' },
});
const briefPatienceMs = 1_500;
const fullPatienceMs = 60_000;

/**
 * One grant, from before it is alive until everything opened under it is confirmed dead: activates the row, waits for
 * its end or for a signal, ends it if due (the row and the database's clock decide), clears its sessions, looks once
 * more. Cancelling it revokes. A lost, late, doubled or reordered signal changes nothing.
 */
export async function supportAccessGrant({
  grantId,
  revokedBy = null,
}: GrantInput & { revokedBy?: string | null }): Promise<void> {
  const state: GrantState = { phase: 'activating', expiresAt: null, sessionsLeft: 0, attempt: 0, lastErrorClass: null };
  let activation: GrantActivation | undefined;
  let looks = 0;
  const woken = () => looks > 0;
  const revokeBy = (who: string) => {
    revokedBy ??= who;
    looks++;
  };
  setHandler(changed, () => void looks++);
  setHandler(retryNow, () => void looks++);
  setHandler(revoke, (message) => revokeBy(nameOf(message)));
  setHandler(grantState, () => state);
  setHandler(activate, async () => {
    await condition(() => activation !== undefined);
    return activation ?? 'refused';
  });
  CancellationScope.current().cancelRequested.catch(() => revokeBy('workflow-cancellation'));

  await CancellationScope.nonCancellable(async () => {
    const answer = await local.activateGrant({ grantId });
    activation = answer === 'gone' ? 'refused' : answer;
    if (answer === 'active' && (await untilEnded())) await untilSettled();
    else show(answer === 'gone' || answer === 'active' ? 'gone' : 'refused');
    await condition(allHandlersFinished);
  });

  /** The timer only says when to look: whether the grant is due is the database's to say. */
  async function untilEnded(): Promise<boolean> {
    for (;;) {
      looks = 0;
      const look = await local.settleGrant({ grantId, revokedBy });
      if (look.state !== 'active') return look.state === 'ended';
      state.expiresAt = look.expiresAt;
      show('active');
      await condition(woken, look.waitMs, { summary: `expires ${look.expiresAt}` });
      if (workflowInfo().continueAsNewSuggested) await startAfresh();
    }
  }

  async function untilSettled(): Promise<void> {
    let [waits, last] = [0, false];
    show('ending');
    for (;;) {
      looks = 0;
      const brief = state.attempt === 0;
      const { clearGrantSessions } = brief ? local : patient;
      const pass = await clearGrantSessions({
        grantId,
        attempt: state.attempt,
        waits,
        last,
        patienceMs: brief ? briefPatienceMs : fullPatienceMs,
      });
      Object.assign(state, { sessionsLeft: pass.sessionsLeft, attempt: pass.attempt, lastErrorClass: pass.errorClass });
      waits = pass.waits;
      if (pass.outcome === 'settled' || pass.outcome === 'gone') return show(pass.outcome);
      show(pass.outcome === 'cleared' ? 'cleared' : 'ending', pass.lookAgainInMs);
      const isWoken = await condition(woken, pass.lookAgainInMs, { summary: summaryOf(pass.outcome) });
      last = pass.outcome === 'cleared' && !isWoken;
      if (workflowInfo().continueAsNewSuggested) await startAfresh();
    }
  }

  async function startAfresh(): Promise<void> {
    await condition(allHandlersFinished);
    await continueAsNew<typeof supportAccessGrant>({ grantId, revokedBy });
  }

  function show(phase: GrantState['phase'], inMs = 0): void {
    state.phase = phase;
    if (phase === 'gone') log.error('the grant has no row any more; stopping', { grantId });
    const until = phase === 'active' ? ` until ${state.expiresAt}` : '';
    const left = phase === 'ending' ? `: ${state.sessionsLeft} sessions left` : '';
    const error =
      state.lastErrorClass === null ? '' : `, last error \`${state.lastErrorClass}\` (${state.attempt} in a row)`;
    setCurrentDetails(
      `**${phase}**${until}${left}${error}${inMs > 0 ? `; next look in ${Math.round(inMs / 1_000)} s` : ''}`,
    );
  }
}

const summaryOf = (outcome: 'waiting' | 'unanswered' | 'cleared'): string =>
  ({
    waiting: 'for the sessions to be confirmed dead',
    unanswered: 'ask the Auth Module again',
    cleared: 'look once more',
  })[outcome];

/** Whoever sends the signal by hand may write anything into it. */
function nameOf(message: unknown): string {
  const name = typeof message === 'object' && message !== null && 'revokedBy' in message ? message.revokedBy : message;
  return typeof name === 'string' && isOpaqueId(name) ? name : 'operator';
}
