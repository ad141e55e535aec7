import { type OpenAPIHono, type RouteConfig, z } from '@hono/zod-openapi';
import { type ErrorCode, statusOf } from '../errors.ts';
import type { Operation } from '../rules/access.ts';
import { sessionEventSchema } from '../service/session-events/parse-session-event.ts';
import type { ApiEnv } from './api-env.ts';
import { problemDocument } from './error-response.ts';
import { type Header, header } from './route-parts.ts';

type Responses = RouteConfig['responses'];
export const requestIdHeader = {
  'X-Request-Id': header('The request’s id: the one that was sent, where it can be used, else a fresh one.'),
};
const headersOf: Partial<Record<number, Record<string, Header>>> = {
  401: { 'WWW-Authenticate': header('`Bearer` (RFC 6750).') },
  429: { 'Retry-After': header('Seconds.', 'integer') },
  409: { 'Retry-After': header('Seconds; for `idempotency-key-in-use`.', 'integer') },
  503: { 'Retry-After': header('Seconds.', 'integer') },
};

const problemSchema = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    code: z.string(),
    requestId: z.string(),
    errors: z
      .array(z.object({ pointer: z.string(), message: z.string() }))
      .max(20)
      .optional()
      .openapi({ description: 'The first 20 of them.' }),
  })
  .catchall(z.unknown())
  .openapi('Problem');

const replayedHeader = {
  'Idempotent-Replayed': header('`true` where this is the answer to an earlier request with the same key.'),
};
/** Refusals that are kept for a key, and may so be replays. */
const keptStatuses: readonly number[] = [400, 404, 409, 422];

/** Problem documents by status, with an example of each code that may come with it. */
export function problems(codes: readonly ErrorCode[], idempotent = false): Responses {
  const byStatus = Map.groupBy(codes, (code) => statusOf[code]);
  return Object.fromEntries(
    [...byStatus].map(([status, ofStatus]) => {
      const problem = problemOf(status, ofStatus);
      return [status, withHeaders(problem, idempotent && keptStatuses.includes(status))];
    }),
  );
}

const problemOf = (status: number, codes: readonly ErrorCode[]) => ({
  description: codes.map((code) => `\`${code}\``).join(' or '),
  headers: headersOf[status] ?? {},
  content: {
    'application/problem+json': {
      schema: problemSchema,
      examples: Object.fromEntries(
        codes.map((code) => [
          code,
          { value: problemDocument(code, status, 'What is wrong, in words.', '3f0c5a52-7f3e-4f0a-9d2b-0f4a6d1b7c55') },
        ]),
      ),
    },
  },
});

/** Every refusal that the steps of an endpoint can answer; what its own decision refuses, the route adds as `refusals`. */
function sharedRefusals(route: RouteConfig, idempotent: boolean): ErrorCode[] {
  const always: ErrorCode[] = [
    'malformed-request',
    'unauthenticated',
    'session-ended',
    'validation-failed',
    'internal-error',
    'database-unavailable',
    'signing-keys-unavailable',
  ];
  const hasBody = route.request?.body !== undefined;
  return [
    ...always,
    ...(route.path.includes('{org}')
      ? (['organization-forbidden', 'support-access-required', 'role-required'] as const)
      : (['role-required'] as const)),
    ...(/\{(?!org)/.test(route.path) ? (['not-found'] as const) : []),
    ...(route.method !== 'get' && route.path.includes('{org}') ? (['rate-limited'] as const) : []),
    ...(hasBody
      ? (['request-timeout', 'length-required', 'payload-too-large', 'unsupported-media-type'] as const)
      : []),
    ...(idempotent ? (['idempotency-key-in-use', 'idempotency-key-reused'] as const) : []),
  ];
}

const idempotencyHeader = z.object({
  'Idempotency-Key': z.string().optional().openapi({
    description: 'The same key and body is done once; a repeat is answered with the first answer. Kept 24 h.',
    pattern: '^[!-~]+$',
    maxLength: 255,
  }),
});

interface Documented {
  operation: Operation;
  refusals?: readonly ErrorCode[];
  idempotent: boolean;
}

/** The contract of an endpoint with everything that it shares with others: refusals, headers, the security scheme. */
export function documentedRoute(route: RouteConfig, { operation, refusals = [], idempotent }: Documented): RouteConfig {
  const { responses, request, ...rest } = route;
  const own: Responses = Object.fromEntries(
    Object.entries(responses).map(([status, answer]) => [status, withHeaders(answer, idempotent)]),
  );
  const headers = [...[request?.headers ?? []].flat(), ...(idempotent ? [idempotencyHeader] : [])];
  const refused = problems([...new Set([...sharedRefusals(route, idempotent), ...refusals])], idempotent);
  return {
    ...rest,
    'x-operation': operation,
    security: [{ bearer: [] }],
    request: { ...request, ...(headers.length > 0 && { headers: mergeHeaders(headers) }) },
    responses: { ...own, ...refused },
  };
}

const mergeHeaders = (headers: readonly z.ZodType[]): z.ZodObject =>
  headers.reduce<z.ZodObject>((all, one) => (one instanceof z.ZodObject ? all.extend(one.shape) : all), z.object({}));

function withHeaders(answer: Responses[string], idempotent: boolean): Responses[string] {
  if (answer === undefined || '$ref' in answer) return answer;
  const replayed: Record<string, Header> = idempotent ? replayedHeader : {};
  const own = answer.headers instanceof z.ZodType ? {} : answer.headers;
  return { ...answer, headers: { ...requestIdHeader, ...replayed, ...own } };
}

/** The whole document, OpenAPI 3.1, made once from the registered routes. */
export function openApiDocument(app: OpenAPIHono<ApiEnv>) {
  app.openAPIRegistry.registerComponent('securitySchemes', 'bearer', {
    type: 'http',
    scheme: 'bearer',
    bearerFormat: 'JWT',
  });
  app.openAPIRegistry.register('SessionEvent', sessionEventSchema);
  return app.getOpenAPI31Document({
    openapi: '3.1.0',
    info: {
      title: 'Session Management Service',
      version: '1.0.0',
      description:
        'Ends login sessions now, everywhere, and proves it. Lists are `{items, nextCursor}`; errors are RFC 9457 problem documents with a stable `code`.',
    },
    servers: [{ url: '/' }],
    tags: ['sessions', 'terminations', 'support access', 'audit', 'machines', 'operation'].map((name) => ({ name })),
  });
}
