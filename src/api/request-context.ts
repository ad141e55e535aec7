import { randomUUID } from 'node:crypto';
import type { MiddlewareHandler } from 'hono';
import type { Logger } from 'pino';
import { ServiceError } from '../errors.ts';
import type { ApiEnv } from './api-env.ts';
import { pathOf } from './path-parameters.ts';

export type ObserveRequest = (labels: { method: string; route: string; status: number }, seconds: number) => void;

const acceptableRequestId = /^[\x21-\x7e](?:[\x20-\x7e]{0,126}[\x21-\x7e])?$/;

const securityHeaders = Object.entries({
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
});

/** A client's own request id where it is printable ASCII and at most 128 characters long, else a fresh one. */
export const requestIdOf = (sent: string | undefined): string =>
  sent !== undefined && acceptableRequestId.test(sent) ? sent : randomUUID();

/**
 * The outermost step of every request, also of those that no route matches: the request id in and out, the headers that
 * every answer has, one log line and one measurement. The line has no query, body, token, address or user agent.
 */
export function createRequestContext(
  logger: Logger,
  observe: ObserveRequest = () => undefined,
): MiddlewareHandler<ApiEnv> {
  return async function requestContext(c, next) {
    const startedAt = performance.now();
    const requestId = requestIdOf(c.req.header('x-request-id'));
    c.set('requestId', requestId);
    c.header('X-Request-Id', requestId);
    for (const [name, value] of securityHeaders) c.header(name, value);
    if (c.req.path.startsWith('/v1/')) c.header('Cache-Control', 'no-store');
    await next();
    const seconds = (performance.now() - startedAt) / 1_000;
    const route = c.get('routePath') ?? 'unmatched';
    const status = c.res.status;
    observe({ method: c.req.method, route, status }, seconds);
    logger.info(
      {
        requestId,
        organizationId: c.get('organizationId'),
        terminationId: c.get('terminationId'),
        method: c.req.method,
        route,
        status,
        code: c.get('errorCode'),
        ms: Math.round(seconds * 10_000) / 10,
      },
      'request',
    );
  };
}

const dotSegment = /\/(?:\.|%2e){1,2}(?:\/|$)/i;

/**
 * Refuses what HTTP lets through and this service does not: a 1.1 request without `Host` (RFC 9112 §3.2), and a path
 * with `.` or `..` in it, which is not resolved: `/users/../sessions/terminate` must never become the path that ends
 * everybody's sessions.
 */
export const refuseMalformed: MiddlewareHandler<ApiEnv> = async function refuseMalformed(c, next) {
  const incoming = c.env?.incoming;
  if (incoming?.httpVersion === '1.1' && incoming.headers.host === undefined)
    throw malformed('There is no Host header.');
  if (dotSegment.test(pathOf(incoming?.url ?? ''))) throw malformed('The path has a dot segment.');
  await next();
};

const malformed = (message: string) => new ServiceError('malformed-request', message);
