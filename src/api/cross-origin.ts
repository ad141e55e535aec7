import type { MiddlewareHandler } from 'hono';
import { cors } from 'hono/cors';
import type { ApiEnv } from './api-env.ts';
import type { MethodsOf } from './unmatched.ts';

/** What a page of another origin may call: all that a person may do. Machines call from no page. */
export const crossOriginPaths = ['/v1/organizations/*', '/v1/support-access', '/v1/me'] as const;

const allowHeaders = [
  'Authorization',
  'Content-Type',
  'Accept',
  'Idempotency-Key',
  'If-Match',
  'Last-Event-ID',
  'Prefer',
  'X-Request-Id',
  'traceparent',
];
const exposeHeaders = [
  'Location',
  'Retry-After',
  'X-Request-Id',
  'Idempotent-Replayed',
  'Preference-Applied',
  'ETag',
  'Allow',
  'WWW-Authenticate',
];
const PREFLIGHT_KEPT_SECONDS = 600;

/**
 * Lets pages of the configured origins call and read the answers, refusals and event streams included. Every other
 * origin gets the answer that it would get without this. Credentials are never allowed: the token travels in a header.
 */
export function createCrossOrigin(origins: readonly string[], methodsOf: MethodsOf): MiddlewareHandler<ApiEnv> {
  const share = cors({
    origin: [...origins],
    allowHeaders,
    exposeHeaders,
    maxAge: PREFLIGHT_KEPT_SECONDS,
    allowMethods: (_, c) => [...(methodsOf(c.req.path) ?? [])],
  });
  return async function crossOrigin(c, next) {
    if (origins.length === 0) return next();
    // Hono's own answers every OPTIONS; here one that is no preflight, or of no route, is unmatched like any other
    const isPreflight =
      c.req.header('access-control-request-method') !== undefined && methodsOf(c.req.path) !== undefined;
    const isAllowed = origins.includes(c.req.header('origin') ?? '') && (c.req.method !== 'OPTIONS' || isPreflight);
    if (isAllowed) {
      c.header('Cross-Origin-Resource-Policy', 'cross-origin');
      if (c.req.method === 'OPTIONS') c.set('routePath', 'preflight');
      return share(c, next);
    }
    await next();
    c.header('Vary', 'Origin', { append: true });
  };
}
