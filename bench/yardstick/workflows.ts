import { proxyActivities, proxyLocalActivities } from '@temporalio/workflow';

interface Nothing {
  nothing(): Promise<void>;
}
const options = { startToCloseTimeout: '10 seconds' } as const;
const local = proxyLocalActivities<Nothing>(options);
const ordinary = proxyActivities<Nothing>(options);

/** The least that a workflow which does something once can cost: the engine's own rate, beside which ours is read. */
export async function empty(): Promise<void> {
  await local.nothing();
}

/** The same, with an activity that any worker may take. */
export async function oneActivity(): Promise<void> {
  await ordinary.nothing();
}
