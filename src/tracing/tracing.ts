import type { TraceCarrier } from '../workflows/trace-header.ts';

/**
 * All that a span can say: ids, counts and codes. There is no place for a token, a reason, an address or a user agent,
 * and errors are told by their class, never by their message.
 */
export interface SpanFacts {
  organizationId?: string | undefined;
  terminationId?: string | undefined;
  grantId?: string | undefined;
  method?: string | undefined;
  /** As documented, without ids. */
  route?: string | undefined;
  status?: number | undefined;
  attempt?: number | undefined;
}

export interface SpanStart {
  name: string;
  /** `server`: somebody else asked for it; `client`: somebody else is asked. */
  kind: 'server' | 'client';
  facts?: SpanFacts;
  /** What came with the question, or null where nothing did. Absent: the span that is active here. */
  from?: Partial<TraceCarrier> | null;
}

export interface OpenSpan {
  rename(name: string): void;
  add(facts: SpanFacts): void;
  fail(code: string): void;
}

/** Records what a request leads to, over all processes. Nothing here decides anything: without it all is the same. */
export interface Tracing {
  /** Does the work in a span, which is the active one meanwhile. What it throws is thrown on. */
  inSpan<T>(start: SpanStart, work: (span: OpenSpan) => Promise<T>): Promise<T>;
  /** A span that was, with an id that others know already. */
  mark(start: SpanStart, spanId: string): void;
  /** What is handed on to whoever is asked from here; undefined where no span is active. */
  carrier(): TraceCarrier | undefined;
  /** Sends what is left, as far as that is possible at once. Never rejects. */
  stop(): Promise<void>;
}

const silent: OpenSpan = { rename: () => undefined, add: () => undefined, fail: () => undefined };

/** Off. */
export const noTracing: Tracing = {
  inSpan: (_, work) => work(silent),
  mark: () => undefined,
  carrier: () => undefined,
  stop: () => Promise.resolve(),
};
