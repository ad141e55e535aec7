import { z } from 'zod';

const samplers = [
  'always_on',
  'always_off',
  'traceidratio',
  'parentbased_always_on',
  'parentbased_always_off',
  'parentbased_traceidratio',
] as const;
// refused without its text: it may hold a credential
const pairList = z
  .string()
  .refine((text) => readPairs(text) !== null, 'must be key=value,key=value, values percent-encoded')
  .optional();

/** The variables of traces, named by OpenTelemetry. Certificates and compression of the exporter are read by its library. */
export const tracingVariables = {
  OTEL_EXPORTER_OTLP_ENDPOINT: z.url({ protocol: /^https?$/ }).optional(),
  // refused rather than ignored: who asks for gRPC would wait for traces that never come
  OTEL_EXPORTER_OTLP_PROTOCOL: z.literal('http/protobuf').default('http/protobuf'),
  OTEL_EXPORTER_OTLP_HEADERS: pairList,
  OTEL_SERVICE_NAME: z.string().min(1).optional(),
  OTEL_RESOURCE_ATTRIBUTES: pairList,
  OTEL_TRACES_SAMPLER: z.enum(samplers).default('parentbased_always_on'),
  OTEL_TRACES_SAMPLER_ARG: z.coerce.number().min(0).max(1).default(1),
  OTEL_BSP_SCHEDULE_DELAY: z.coerce.number().int().min(1).max(600_000).default(5_000),
  OTEL_SDK_DISABLED: z.enum(['true', 'false']).default('false'),
};

type TracingEnvironment = z.infer<z.ZodObject<typeof tracingVariables>> & { SHUTDOWN_GRACE_SECONDS: number };
export type TracingSettings = NonNullable<ReturnType<typeof tracingSettings>>;

/** Null is off: nothing is loaded, recorded or sent. */
export const tracingSettings = (e: TracingEnvironment) =>
  e.OTEL_EXPORTER_OTLP_ENDPOINT === undefined || e.OTEL_SDK_DISABLED === 'true'
    ? null
    : {
        url: `${e.OTEL_EXPORTER_OTLP_ENDPOINT.replace(/\/+$/, '')}/v1/traces`,
        headers: readPairs(e.OTEL_EXPORTER_OTLP_HEADERS ?? '') ?? {},
        serviceName: e.OTEL_SERVICE_NAME ?? null,
        resourceAttributes: readPairs(e.OTEL_RESOURCE_ATTRIBUTES ?? '') ?? {},
        sampler: e.OTEL_TRACES_SAMPLER,
        sampledShare: e.OTEL_TRACES_SAMPLER_ARG,
        exportEveryMs: e.OTEL_BSP_SCHEDULE_DELAY,
        // the last export happens within the grace of a shutdown, which is the work's
        exportTimeoutMs: Math.min(10_000, e.SHUTDOWN_GRACE_SECONDS * 100),
      };

/** `key=value,key2=value2`, values percent-encoded. Null: it is not that. */
function readPairs(text: string): Record<string, string> | null {
  const pairs = text
    .split(',')
    .filter((pair) => pair.trim() !== '')
    .map((pair) => /^\s*([^=\s]+)\s*=\s*(.*?)\s*$/.exec(pair));
  try {
    return Object.fromEntries(
      pairs.map((pair) => {
        if (pair === null) throw new URIError('not a pair');
        const [, name = '', value = ''] = pair;
        return [name, decodeURIComponent(value)];
      }),
    );
  } catch {
    return null;
  }
}
