import { proxyLocalActivities } from '@temporalio/workflow';

const { nothing } = proxyLocalActivities<{ nothing(): Promise<void> }>({ startToCloseTimeout: '10 seconds' });

/** The least that a workflow which does something once can cost: the engine's own rate, beside which ours is read. */
export async function empty(): Promise<void> {
  await nothing();
}
