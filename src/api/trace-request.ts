import type { MiddlewareHandler } from 'hono';
import type { Tracing } from '../tracing/tracing.ts';
import type { ApiEnv } from './api-env.ts';

/** Each request under /v1 is a span: of the caller's trace where it sends a `traceparent`, else the first of its own. */
export function createTraceRequest(tracing: Tracing): MiddlewareHandler<ApiEnv> {
  return async function traceRequest(c, next) {
    if (!c.req.path.startsWith('/v1/')) return next();
    const { method } = c.req;
    const from = { traceparent: c.req.header('traceparent') };
    return tracing.inSpan({ name: method, kind: 'server', facts: { method }, from }, async (span) => {
      await next();
      const route = c.get('routePath');
      const status = c.res.status;
      if (route !== undefined) span.rename(`${method} ${route}`);
      span.add({
        route,
        status,
        organizationId: c.get('organizationId'),
        terminationId: c.get('terminationId'),
        grantId: c.get('grantId'),
      });
      if (status >= 500) span.fail(c.get('errorCode') ?? String(status));
    });
  };
}
