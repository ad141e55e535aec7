import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll } from 'vitest';
import { eventually } from '../harness/client.ts';
import { type ReceivedSpan, startTraceReceiver, type TraceReceiver } from '../harness/trace-receiver.ts';

export interface Traces {
  receiver: TraceReceiver;
  /** For the processes that shall be traced. */
  environment(): Record<string, string>;
  /** The spans of a trace, once all of these names are among them; any one where a name occurs twice. */
  trace(traceId: string, ...names: string[]): Promise<Record<string, ReceivedSpan>>;
}

export const key = 'the-collectors-own-key';

export function useTraces(): Traces {
  const traces = {} as Traces;
  beforeAll(async () => {
    const receiver = await startTraceReceiver();
    Object.assign(traces, {
      receiver,
      environment: () => ({
        OTEL_EXPORTER_OTLP_ENDPOINT: `${receiver.url}/`,
        OTEL_EXPORTER_OTLP_HEADERS: `authorization=Api-Key%20${key}`,
        OTEL_BSP_SCHEDULE_DELAY: '50',
      }),
      trace: async (traceId: string, ...names: string[]) => {
        const named = () =>
          Object.fromEntries(receiver.spans.filter((s) => s.traceId === traceId).map((span) => [span.name, span]));
        return eventually(
          () => Promise.resolve(named()),
          (spans) => names.every((name) => name in spans),
        );
      },
    });
  });
  afterAll(() => traces.receiver.close());
  return traces;
}

/** A trace that somebody else has begun. */
export function foreignTrace(flags = '01') {
  const traceId = randomBytes(16).toString('hex');
  const spanId = randomBytes(8).toString('hex');
  return { traceId, spanId, traceparent: `00-${traceId}-${spanId}-${flags}` };
}
