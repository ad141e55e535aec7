import {
  type Client,
  ServiceError as TemporalServiceError,
  WithStartWorkflowOperation,
  WorkflowUpdateFailedError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
} from '@temporalio/client';
import type { SearchAttributePair } from '@temporalio/common';
import { noTracing, type Tracing } from '../tracing/tracing.ts';
import { activate, grantWorkflowId, supportAccessGrantWorkflow } from '../workflows/messages.ts';
import { grpcStatusOf, isNamespaceMissing, isUnknownAttribute } from './engine-failure.ts';
import type { ReportFailure } from './report-failures.ts';
import { attributesOf } from './search-attributes.ts';
import type { TemporalSetup } from './temporal-setup.ts';

/**
 * Starts a grant's workflow and has it activate the row, in one call. `active`: the row is alive and its closer holds
 * the timer. `refused`: it never will be. `unanswered`: not known within the time; the caller voids the row.
 */
export type ArmGrant = (
  grantId: string,
  organizationId: string,
  timeoutMs: number,
) => Promise<'active' | 'refused' | 'unanswered'>;

export interface ArmGrantOptions {
  client: Client;
  taskQueue: string;
  /** Asked to make again what Temporal turns out not to have. */
  setup: Pick<TemporalSetup, 'mend'>;
  reportFailure: ReportFailure;
  tracing?: Tracing;
}

export function createArmGrant({
  client,
  taskQueue,
  setup,
  reportFailure,
  tracing = noTracing,
}: ArmGrantOptions): ArmGrant {
  const arm = (grantId: string, deadline: number, typedSearchAttributes: SearchAttributePair[]) =>
    client.withDeadline(deadline, () =>
      client.workflow.executeUpdateWithStart(activate, {
        updateId: grantId,
        startWorkflowOperation: new WithStartWorkflowOperation(supportAccessGrantWorkflow, {
          workflowId: grantWorkflowId(grantId),
          taskQueue,
          args: [{ grantId }],
          workflowIdConflictPolicy: 'USE_EXISTING',
          workflowIdReusePolicy: 'ALLOW_DUPLICATE',
          typedSearchAttributes,
          staticSummary: 'support access grant',
          // somebody waits for the answer
          priority: { priorityKey: 1 },
        }),
      }),
    );
  return async (grantId, organizationId, timeoutMs) => {
    const deadline = Date.now() + timeoutMs;
    const span = {
      name: `UpdateWithStartWorkflow:${supportAccessGrantWorkflow}`,
      kind: 'client',
      facts: { organizationId, grantId },
    } as const;
    try {
      const answer = await tracing.inSpan(span, () =>
        arm(grantId, deadline, attributesOf({ organizationId })).catch((error: unknown) => {
          if (!isUnknownAttribute(error)) throw error;
          void setup.mend();
          return arm(grantId, deadline, []);
        }),
      );
      // too late for its caller: as if it had not answered
      return answer === 'late' ? 'unanswered' : answer;
    } catch (error) {
      if (isNamespaceMissing(error)) void setup.mend();
      reportFailure('start', error, { organizationId, grantId });
      if (isUnanswered(error)) return 'unanswered';
      throw error;
    }
  };
}

/** The engine could not be reached, no worker answered in time, or the workflow ended before it did. */
const isUnanswered = (error: unknown): boolean =>
  isNamespaceMissing(error) ||
  grpcStatusOf(error) !== undefined ||
  error instanceof TemporalServiceError ||
  error instanceof WorkflowUpdateRPCTimeoutOrCancelledError ||
  error instanceof WorkflowUpdateFailedError;
