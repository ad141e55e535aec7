import {
  CancellationScope,
  condition,
  continueAsNew,
  getExternalWorkflowHandle,
  log,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import { defineSearchAttributeKey, SearchAttributeType } from '@temporalio/common';
import type { Activities } from '../activities/index.ts';
import {
  changed,
  grantWorkflowId,
  retryNow,
  searchAttributeNames,
  type TerminationInput,
  type TerminationState,
  terminationState,
} from './messages.ts';

const keyword = (name: string) => defineSearchAttributeKey(name, SearchAttributeType.KEYWORD);
const organizationKey = keyword(searchAttributeNames.organizationId);
const phaseKey = keyword(searchAttributeNames.phase);
const lastErrorClassKey = keyword(searchAttributeNames.lastErrorClass);

// Retried by Temporal without end, for the database; what the Auth Module does not confirm comes back as an answer,
// and its patience is the workflow's own, where an operator sees it and `retry-now` can shorten it.
const { endSessions, verifyTermination } = proxyActivities<Activities>({
  startToCloseTimeout: '10 minutes',
  heartbeatTimeout: '15 seconds',
  retry: { initialInterval: '500 milliseconds', backoffCoefficient: 2, maximumInterval: '30 seconds' },
});

/**
 * Makes one termination true at the Auth Module: ends its sessions and chains, sweeps, and asks again later. Ends when
 * the termination is verified, or its row is gone. Cancelling it does nothing: a decision is not taken back.
 */
export async function terminateSessions({
  terminationId,
  attempt = 0,
}: TerminationInput & { attempt?: number }): Promise<void> {
  const state: TerminationState = {
    phase: 'ending',
    attempt,
    pendingSessions: 0,
    pendingChains: 0,
    lastErrorClass: null,
  };
  let looks = 0;
  let counted = false;
  let filed = '';
  const woken = () => looks > 0;
  setHandler(changed, () => void looks++);
  setHandler(retryNow, () => void looks++);
  setHandler(terminationState, () => state);

  await CancellationScope.nonCancellable(async () => {
    while (state.phase !== 'verified' && state.phase !== 'gone') {
      const verifyDelaysMs = await untilCompleted();
      await verify(verifyDelaysMs);
      if (state.phase === 'verifying' && workflowInfo().continueAsNewSuggested)
        await continueAsNew<typeof terminateSessions>({ terminationId, attempt: 0 });
    }
  });

  async function untilCompleted(): Promise<number[]> {
    for (;;) {
      show('ending');
      looks = 0;
      const pass = await endSessions({ terminationId, attempt: state.attempt });
      counted = true;
      Object.assign(state, {
        attempt: pass.attempt,
        pendingSessions: pass.pendingSessions,
        pendingChains: pass.pendingChains,
        lastErrorClass: pass.errorClass,
      });
      if (pass.grantId !== null) await tellGrant(pass.grantId);
      if (pass.outcome === 'completed') return pass.verifyDelaysMs;
      if (pass.outcome === 'gone') return gone();
      show('waiting', pass.lookAgainInMs);
      if (pass.lookAgainInMs > 0)
        await condition(woken, pass.lookAgainInMs, {
          summary: `next attempt, after ${pass.errorClass ?? 'more work'}`,
        });
      if (workflowInfo().continueAsNewSuggested)
        await continueAsNew<typeof terminateSessions>({ terminationId, attempt: state.attempt });
    }
  }

  /** Asks again after each delay; leaves early, not verified, when the termination was decided anew or a chain came back. */
  async function verify(delaysMs: readonly number[]): Promise<void> {
    for (const [n, delayMs] of delaysMs.entries()) {
      show('verifying', delayMs);
      if (await condition(woken, delayMs, { summary: 'ask the Auth Module again' })) return;
      if (!(await isStillDead(n === delaysMs.length - 1, delaysMs[n + 1] ?? 0))) return;
    }
    if (state.phase !== 'gone') show('verified');
  }

  async function isStillDead(last: boolean, nextInMs: number): Promise<boolean> {
    for (let failures = 1; ; failures++) {
      const verification = await verifyTermination({ terminationId, attempt: failures, last, nextInMs });
      state.lastErrorClass = verification.errorClass ?? state.lastErrorClass;
      if (verification.outcome === 'gone') gone();
      if (verification.outcome !== 'unanswered') return verification.outcome === 'dead';
      if (
        await condition(woken, verification.lookAgainInMs, { summary: `ask again, after ${verification.errorClass}` })
      )
        return false;
      if (workflowInfo().continueAsNewSuggested)
        await continueAsNew<typeof terminateSessions>({ terminationId, attempt: 0 });
    }
  }

  /** Where nobody waits for it (any more), nothing is lost: the grant's workflow looks by itself. */
  async function tellGrant(grantId: string): Promise<void> {
    await getExternalWorkflowHandle(grantWorkflowId(grantId))
      .signal(changed)
      .catch(() => undefined);
  }

  function gone(): number[] {
    log.error('the termination has no row any more; stopping', { terminationId });
    show('gone');
    return [];
  }

  function show(phase: TerminationState['phase'], inMs = 0): void {
    state.phase = phase;
    // counted by each pass at its end: before the first nobody knows
    const pending = counted ? `: ${state.pendingSessions} sessions and ${state.pendingChains} chains pending` : '';
    const error =
      state.lastErrorClass === null ? '' : `, last error \`${state.lastErrorClass}\` (${state.attempt} in a row)`;
    setCurrentDetails(
      `**${phase}**${pending}${error}${inMs > 0 ? `; next look in ${Math.round(inMs / 1_000)} s` : ''}`,
    );
    file();
  }

  /** What operators filter by: where the namespace knows our attributes (then the start had them), and only what is new, for each costs an event. */
  function file(): void {
    const label = `${state.phase} ${state.lastErrorClass}`;
    if (
      state.phase === 'ending' ||
      filed === label ||
      workflowInfo().typedSearchAttributes.get(organizationKey) === undefined
    )
      return;
    filed = label;
    upsertSearchAttributes([
      { key: phaseKey, value: state.phase },
      { key: lastErrorClassKey, value: state.lastErrorClass },
    ]);
  }
}
