import type { WorkflowClientInterceptor } from '@temporalio/client';
import type { ActivityInterceptorsFactory, InjectedSinks } from '@temporalio/worker';
import type { TraceSinks } from '../workflows/carry-trace.ts';
import { subjectOf } from '../workflows/messages.ts';
import { readTraceHeader, withTraceHeader, workflowSpanId } from '../workflows/trace-header.ts';
import type { Tracing } from './tracing.ts';

/** Gives the active trace along with whatever starts or wakes a workflow. */
export const traceStarts = (tracing: Tracing): WorkflowClientInterceptor => ({
  signalWithStart: (input, next) => next({ ...input, headers: withTraceHeader(input.headers, tracing.carrier()) }),
  startUpdateWithStart: (input, next) =>
    next({ ...input, workflowStartHeaders: withTraceHeader(input.workflowStartHeaders, tracing.carrier()) }),
});

/** Each run of an activity is a span: of the trace that its workflow carries, else of one of its own. */
export const traceActivities =
  (tracing: Tracing): ActivityInterceptorsFactory =>
  ({ info }) => ({
    inbound: {
      execute(input, next) {
        const from = readTraceHeader(input.headers) ?? null;
        const facts = {
          ...subjectOf(info.workflowExecution?.workflowId),
          organizationId: from?.organizationId,
          attempt: info.attempt,
        };
        return tracing.inSpan({ name: `RunActivity:${info.activityType}`, kind: 'server', facts, from }, () =>
          next(input),
        );
      },
    },
  });

/**
 * The span of a workflow, told by the workflow when it enters a trace and not when it ends, which may be weeks later:
 * whoever looks while the Auth Module is down finds a whole trace. So it says when it began, and its activities how long.
 */
export const traceWorkflows = (tracing: Tracing): InjectedSinks<TraceSinks> => ({
  tracing: {
    entered: {
      fn: ({ workflowType, workflowId, runId }, from) =>
        tracing.mark(
          {
            name: `RunWorkflow:${workflowType}`,
            kind: 'server',
            facts: { ...subjectOf(workflowId), organizationId: from.organizationId },
            from,
          },
          workflowSpanId(runId),
        ),
      callDuringReplay: false,
    },
  },
});
