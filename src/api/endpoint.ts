import { type OpenAPIHono, type RouteConfig, type RouteHandler, z } from '@hono/zod-openapi';
import type { Handler, MiddlewareHandler } from 'hono';
import type { ErrorCode } from '../errors.ts';
import { type Operation, operations } from '../rules/access.ts';
import type { ApiContext, ApiEnv } from './api-env.ts';
import { documentedRoute } from './openapi.ts';
import { readBody, readPath, readQuery, validateBody } from './read-request.ts';
import { noQuery } from './request-schemas.ts';

/** Shows a decided resource as it is now, in the form of the endpoint's first answer. */
export type ShowDecided = (c: ApiContext, resourceId: string) => Promise<Response>;

interface Definition<R extends RouteConfig> {
  route: R;
  /** What a caller must be permitted to do; there is no endpoint under /v1 without one. */
  operation: Operation;
  handler: RouteHandler<R, ApiEnv>;
  /** Default: 64 KiB. */
  maxBodyBytes?: number;
  /** How long the body may take to arrive. Default: 10 s. */
  bodyWithinMs?: number;
  /** Set where `Idempotency-Key` is accepted. */
  showDecided?: ShowDecided;
  /** What the decision itself can refuse, beside what the shared steps do. */
  refusals?: readonly ErrorCode[];
}

/** One endpoint: its contract, whom it is for, and what it does. */
export interface Endpoint extends Omit<Definition<RouteConfig>, 'handler'> {
  handler: Handler<ApiEnv>;
}

/** Checks the handler's answers against the route's contract when compiling; a missing operation throws at start. */
export function endpoint<R extends RouteConfig>(definition: Definition<R>): Endpoint {
  const { method, path } = definition.route;
  if (!operations.includes(definition.operation)) throw new Error(`${method} ${path} declares no operation`);
  return { ...definition, handler: definition.handler };
}

/** The steps that endpoints share. */
export interface SharedSteps {
  adminContext: (operation: Operation, pattern: string) => MiddlewareHandler<ApiEnv>;
  limitWrites: MiddlewareHandler<ApiEnv>;
  idempotent: (showDecided: ShowDecided) => MiddlewareHandler<ApiEnv>;
}

const DEFAULT_MAX_BODY_BYTES = 64 * 1024;
const DEFAULT_BODY_WITHIN_MS = 10_000;

/** Registers an endpoint and its documentation. Every request takes the same steps in the same order. */
export function register(
  app: OpenAPIHono<ApiEnv>,
  shared: SharedSteps,
  { route, operation, handler, maxBodyBytes, bodyWithinMs, showDecided, refusals }: Endpoint,
): void {
  const path = route.path.replaceAll(/\{(\w+)\}/g, ':$1');
  const body = bodySchema(route);
  const steps: (MiddlewareHandler<ApiEnv> | false)[] = [
    nameRoute(route.path),
    shared.adminContext(operation, route.path),
    route.method !== 'get' && shared.limitWrites,
    readPath(route.path),
    readQuery(zodSchema(route.request?.query) ?? noQuery),
    body !== undefined && readBody(maxBodyBytes ?? DEFAULT_MAX_BODY_BYTES, bodyWithinMs ?? DEFAULT_BODY_WITHIN_MS),
    showDecided !== undefined && shared.idempotent(showDecided),
    body !== undefined && validateBody(body),
  ];
  app.on(route.method, [path], ...steps.filter((step) => step !== false), handler);
  app.openAPIRegistry.registerPath(
    documentedRoute(route, { operation, refusals, idempotent: showDecided !== undefined }),
  );
}

/** Tells the log and the metrics which route it was. */
export function nameRoute(pattern: string): MiddlewareHandler<ApiEnv> {
  return async function routeNamed(c, next) {
    c.set('routePath', pattern);
    await next();
  };
}

function bodySchema(route: RouteConfig): z.ZodType | undefined {
  const content = route.request?.body?.content['application/json'];
  return content !== undefined && 'schema' in content ? zodSchema(content.schema) : undefined;
}

const zodSchema = (schema: unknown): z.ZodType | undefined => (schema instanceof z.ZodType ? schema : undefined);
