import { type Attributes, ROOT_CONTEXT, type Span, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { parseTraceParent } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { defaultResource, resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, type IdGenerator, RandomIdGenerator, TracerProvider } from '@opentelemetry/sdk-trace';
import type { Logger } from 'pino';
import { type ActiveSpan, activeSpan, traceparentOf } from './active-span.ts';
import { reportingExporter } from './reporting-exporter.ts';
import { createSampler } from './sampler.ts';
import type { TracingSettings } from './settings.ts';
import type { OpenSpan, SpanFacts, SpanStart, Tracing } from './tracing.ts';

const attributesOf = (facts: SpanFacts): Attributes => ({
  'organization.id': facts.organizationId,
  'termination.id': facts.terminationId,
  'support_access_grant.id': facts.grantId,
  'http.request.method': facts.method,
  'http.route': facts.route,
  'http.response.status_code': facts.status,
  'temporal.activity.attempt': facts.attempt,
});
const kinds = { server: SpanKind.SERVER, client: SpanKind.CLIENT };

/**
 * Traces by OpenTelemetry, sent as OTLP over HTTP. Nothing is registered for the whole process, so that two of them, or
 * one beside a process part without, never see each other's spans.
 */
export function createTracing(settings: TracingSettings, processName: string, logger: Logger): Tracing {
  const ids = createIds();
  const provider = createProvider(settings, processName, ids, logger);
  const tracer = provider.getTracer('session-management');
  const start = ({ name, kind, facts = {}, from }: SpanStart): Span => {
    const above = from === undefined ? activeSpan.getStore() : remoteSpan(from?.traceparent);
    const context = above === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, above);
    return tracer.startSpan(name, { kind: kinds[kind], attributes: attributesOf(facts) }, context);
  };
  return {
    inSpan(what, work) {
      const span = start(what);
      const { traceId, spanId, traceFlags } = span.spanContext();
      const organizationId = what.facts?.organizationId ?? activeSpan.getStore()?.organizationId;
      return activeSpan.run({ traceId, spanId, traceFlags, organizationId }, () => untilDone(span, work));
    },
    mark: (what, spanId) => ids.withSpanId(spanId, () => start(what)).end(),
    carrier() {
      const span = activeSpan.getStore();
      return span && { traceparent: traceparentOf(span), organizationId: span.organizationId };
    },
    stop: () => provider.shutdown().catch(() => logger.warn('the last traces could not be exported')),
  };
}

const createProvider = (settings: TracingSettings, processName: string, idGenerator: IdGenerator, logger: Logger) =>
  new TracerProvider({
    idGenerator,
    sampler: createSampler(settings),
    resource: defaultResource().merge(
      resourceFromAttributes({
        ...settings.resourceAttributes,
        'service.name': settings.serviceName ?? settings.resourceAttributes['service.name'] ?? processName,
      }),
    ),
    spanProcessors: [
      new BatchSpanProcessor({
        exporter: reportingExporter(
          new OTLPTraceExporter({
            url: settings.url,
            headers: settings.headers,
            timeoutMillis: settings.exportTimeoutMs,
          }),
          logger,
        ),
        scheduledDelayMillis: settings.exportEveryMs,
        exportTimeoutMillis: settings.exportTimeoutMs,
      }),
    ],
  });

async function untilDone<T>(span: Span, work: (span: OpenSpan) => Promise<T>): Promise<T> {
  let isFailed = false;
  const fail = (code: string) => {
    isFailed = true;
    span.setStatus({ code: SpanStatusCode.ERROR }).setAttribute('error.type', code);
  };
  try {
    return await work({
      rename: (name) => void span.updateName(name),
      add: (facts) => void span.setAttributes(attributesOf(facts)),
      fail,
    });
  } catch (error) {
    if (!isFailed) fail(error instanceof Error ? error.name : 'unknown');
    throw error;
  } finally {
    span.end();
  }
}

/** Whatever is not a `traceparent` begins a trace of its own. `tracestate` is left out: it would be a stranger's free text. */
const remoteSpan = (traceparent: string | undefined): (ActiveSpan & { isRemote: true }) | undefined => {
  const parsed = traceparent === undefined ? null : parseTraceParent(traceparent);
  return parsed === null ? undefined : { ...parsed, isRemote: true };
};

/** Random ids, but for a span whose id is known before it is made. */
function createIds(): IdGenerator & { withSpanId<T>(spanId: string, work: () => T): T } {
  const random = new RandomIdGenerator();
  let wanted: string | undefined;
  return {
    generateTraceId: () => random.generateTraceId(),
    generateSpanId: () => wanted ?? random.generateSpanId(),
    withSpanId(spanId, work) {
      wanted = spanId;
      try {
        return work();
      } finally {
        wanted = undefined;
      }
    },
  };
}
