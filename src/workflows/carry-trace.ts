/**
 * Carries a trace through a workflow: from whoever started or woke it to its activities. In every bundle, also where
 * tracing is off. It never schedules, waits or draws a random number, so a history is the same with and without it.
 */
import { proxySinks, type Sinks, workflowInfo, type WorkflowInterceptors } from '@temporalio/workflow';
import type { Headers } from '@temporalio/common';
import { readTraceHeader, throughRun, type TraceCarrier, withTraceHeader } from './trace-header.ts';

export interface TraceSinks extends Sinks {
  tracing: {
    /** The run has become part of this trace. */
    entered(from: TraceCarrier): void;
  };
}

/** What a workflow still does an hour after anybody asked (a patient retry, the end of a grant) is not that request's any more. */
const FRESH_MS = 3_600_000;

const sinks = proxySinks<TraceSinks>();

/** Called by the SDK once for each run. */
export function interceptors(): WorkflowInterceptors {
  const entered = new Set<string>();
  let carried: TraceCarrier | undefined;
  let since = 0;

  function enter(headers: Headers): void {
    const from = readTraceHeader(headers);
    if (from === undefined) return;
    const { traceId, carrier } = throughRun(from, workflowInfo().runId);
    carried = carrier;
    since = Date.now();
    if (traceId === undefined || entered.has(traceId)) return;
    entered.add(traceId);
    sinks.tracing.entered(from);
  }

  function pass<I extends { readonly headers: Headers }>(input: I): I {
    if (carried === undefined) return input;
    const { organizationId } = carried;
    const isFresh = Date.now() - since < FRESH_MS;
    return { ...input, headers: withTraceHeader(input.headers, isFresh ? carried : { organizationId }) };
  }

  return {
    inbound: [
      {
        execute: (input, next) => (enter(input.headers), next(input)),
        handleSignal: (input, next) => (enter(input.headers), next(input)),
      },
    ],
    outbound: [
      {
        scheduleActivity: (input, next) => next(pass(input)),
        scheduleLocalActivity: (input, next) => next(pass(input)),
        signalWorkflow: (input, next) => next(pass(input)),
        continueAsNew: (input, next) => next(pass(input)),
      },
    ],
  };
}
