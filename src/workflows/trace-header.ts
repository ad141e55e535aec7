import { defaultPayloadConverter, type Headers } from '@temporalio/common';

/** What travels beside a workflow's inputs: where its trace comes from, and whose it is. Ids only, as everywhere in Temporal. */
export interface TraceCarrier {
  /** W3C Trace Context, level 1; absent where the work is no longer part of whoever's request it came from. */
  traceparent?: string | undefined;
  organizationId?: string | undefined;
}

/** As the OpenTelemetry interceptors of Temporal's SDKs name it. */
const TRACE_HEADER = '_tracer-data';

const traceparentPattern = /^00-([\da-f]{32})-[\da-f]{16}-([\da-f]{2})$/;

/** Undefined where there is none. Whoever may speak to Temporal may write anything into it: nonsense is none. */
export function readTraceHeader(headers: Headers): TraceCarrier | undefined {
  const payload = headers[TRACE_HEADER];
  if (payload === undefined) return undefined;
  try {
    const { traceparent, organizationId } = defaultPayloadConverter.fromPayload<Record<string, unknown>>(payload);
    return {
      ...(typeof traceparent === 'string' && traceparentPattern.test(traceparent) && { traceparent }),
      ...(typeof organizationId === 'string' && { organizationId }),
    };
  } catch {
    return undefined;
  }
}

export const withTraceHeader = (headers: Headers, carrier: TraceCarrier | undefined): Headers =>
  carrier === undefined ? headers : { ...headers, [TRACE_HEADER]: defaultPayloadConverter.toPayload(carrier) };

/** A run's span id is the end of its run id: known to every replay, without a random number of the workflow's. */
export const workflowSpanId = (runId: string): string => runId.replaceAll('-', '').slice(-16);

/** The trace that a carrier comes from, and a carrier of the same trace from this run on. */
export function throughRun(
  carrier: TraceCarrier,
  runId: string,
): { traceId: string | undefined; carrier: TraceCarrier } {
  const [, traceId, flags] = traceparentPattern.exec(carrier.traceparent ?? '') ?? [];
  if (traceId === undefined) return { traceId, carrier };
  return { traceId, carrier: { ...carrier, traceparent: `00-${traceId}-${workflowSpanId(runId)}-${flags}` } };
}
