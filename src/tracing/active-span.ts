import { AsyncLocalStorage } from 'node:async_hooks';

export interface ActiveSpan {
  traceId: string;
  spanId: string;
  /** W3C: 1 is sampled. */
  traceFlags: number;
  /** Whose work this is, for the spans below it. */
  organizationId?: string | undefined;
}

/** The span that this piece of work belongs to. Free of OpenTelemetry, so that the log can ask it. */
export const activeSpan = new AsyncLocalStorage<ActiveSpan>();

/** What a log line says of the span that it was written in. */
export const traceFields = (): { trace_id?: string; span_id?: string } => {
  const span = activeSpan.getStore();
  return span === undefined ? {} : { trace_id: span.traceId, span_id: span.spanId };
};

/** W3C Trace Context, level 1. */
export const traceparentOf = ({ traceId, spanId, traceFlags }: ActiveSpan): string =>
  `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`;
