import { expect, it } from 'vitest';
import { loadConfig } from '../../src/config.ts';
import { createSampler } from '../../src/tracing/sampler.ts';

const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' };
const load = (variables: Record<string, string> = {}) =>
  loadConfig({
    DATABASE_URL: 'postgres://x',
    AUTH_MODULE_URL: 'http://x',
    AUTH_MODULE_TOKEN: 'x',
    JWT_ISSUER: 'x',
    JWT_AUDIENCE: 'x',
    JWKS_URL: 'http://x',
    ...variables,
  }).tracing;

it.each<Record<string, string>>([{}, { OTEL_EXPORTER_OTLP_ENDPOINT: '' }, { ...endpoint, OTEL_SDK_DISABLED: 'true' }])(
  'traces are off with %o',
  (variables) => expect(load({ OTEL_SERVICE_NAME: 'x', ...variables })).toBeNull(),
);

it('an endpoint alone turns them on; its path and a trailing slash are kept apart from /v1/traces', () => {
  expect(load(endpoint)).toMatchObject({ url: 'http://collector:4318/v1/traces', headers: {}, serviceName: null });
  expect(load({ OTEL_EXPORTER_OTLP_ENDPOINT: 'https://c/otlp/' })).toMatchObject({ url: 'https://c/otlp/v1/traces' });
});

it('lists are read as OpenTelemetry writes them', () => {
  const settings = load({
    ...endpoint,
    OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Basic%20YQ==, x-tenant = a ,',
    OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=production',
  });
  expect(settings).toMatchObject({
    headers: { authorization: 'Basic YQ==', 'x-tenant': 'a' },
    resourceAttributes: { 'deployment.environment.name': 'production' },
  });
});

it.each([
  ['OTEL_EXPORTER_OTLP_ENDPOINT', 'collector:4318'],
  ['OTEL_EXPORTER_OTLP_PROTOCOL', 'grpc'],
  ['OTEL_EXPORTER_OTLP_HEADERS', 'the-secret-itself'],
  ['OTEL_EXPORTER_OTLP_HEADERS', 'authorization=%the-secret-itself'],
  ['OTEL_TRACES_SAMPLER', 'sometimes'],
  ['OTEL_TRACES_SAMPLER_ARG', '2'],
])('%s is refused at start where it is %s, and its value is not repeated', (name, value) => {
  const start = () => load({ ...endpoint, [name]: value });
  expect(start).toThrow(name);
  expect(start).not.toThrow('the-secret-itself');
});

it.each([
  ['always_off', 'AlwaysOffSampler'],
  ['traceidratio', 'TraceIdRatioBased{0.25}'],
  ['parentbased_always_on', 'ParentBased{root=AlwaysOnSampler,'],
  ['parentbased_always_off', 'ParentBased{root=AlwaysOffSampler,'],
  ['parentbased_traceidratio', 'ParentBased{root=TraceIdRatioBased{0.25},'],
])('the sampler %s is %s', (name, sampler) => {
  const settings = load({ ...endpoint, OTEL_TRACES_SAMPLER: name, OTEL_TRACES_SAMPLER_ARG: '0.25' });
  expect(settings && String(createSampler(settings)).replaceAll(' ', '')).toContain(sampler);
});
