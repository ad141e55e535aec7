import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { Socket } from 'node:net';
import { getRequestListener } from '@hono/node-server';
import type { OpenAPIHono } from '@hono/zod-openapi';
import type { ApiEnv } from './api-env.ts';
import { watchConnections } from './connections.ts';
import { problemDocument } from './error-response.ts';
import { requestIdOf } from './request-context.ts';

/** Bounds on what a client may cost before it is known who it is: slow headers, slow bodies, large headers. */
const limits = {
  headersTimeout: 10_000,
  requestTimeout: 60_000,
  // longer than a usual load balancer keeps an idle connection, so that it is the one to close it
  keepAliveTimeout: 75_000,
  connectionsCheckingInterval: 5_000,
  maxHeaderSize: 16 * 1024,
  // a 1.1 request without it is refused by the app, like every other malformed request; 1.0 health probes send none
  requireHostHeader: false,
};

/**
 * Twice the streams that may be open, so that requests have room beside them; a connection beyond is closed by Node as
 * soon as it is made.
 */
const MAX_CONNECTIONS = 10_000;

export interface HttpServer {
  server: Server;
  /** Stops accepting, closes at once what has no request in progress, lets what is running finish, and closes what is left after `graceMs`. */
  drain: (graceMs: number) => Promise<void>;
}

/** Node's HTTP server around the app. What is too malformed to reach the app is answered with a problem document too. */
export function createHttpServer(app: OpenAPIHono<ApiEnv>, otherLimits: Partial<typeof limits> = {}): HttpServer {
  const listener = getRequestListener((request, env) => app.fetch(request, env), {
    errorHandler: malformedTarget,
    hostname: 'localhost',
  });
  const server = createServer({ ...limits, ...otherLimits }, (incoming, outgoing) => void listener(incoming, outgoing));
  server.on('clientError', answerUnreadable);
  server.maxConnections = MAX_CONNECTIONS;
  const connections = watchConnections(server);
  return {
    server,
    async drain(graceMs) {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      connections.closeUnused();
      const late = setTimeout(() => server.closeAllConnections(), graceMs);
      await closed;
      clearTimeout(late);
    },
  };
}

const unreadable = (requestId: string, status = 400) =>
  JSON.stringify(problemDocument('malformed-request', status, 'The request cannot be read as HTTP.', requestId));
const unreadableHeaders = (requestId: string) => ({
  'Content-Type': 'application/problem+json',
  'X-Request-Id': requestId,
  'X-Content-Type-Options': 'nosniff',
  'Cache-Control': 'no-store',
});

/** A target or host that is no URL. */
function malformedTarget(): Response {
  const requestId = requestIdOf(undefined);
  return new Response(unreadable(requestId), { status: 400, headers: unreadableHeaders(requestId) });
}

const unreadableStatus: Record<string, string> = {
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
};

/** Node's parser gave up: there is no request to answer, only a socket. */
function answerUnreadable(error: Error & { code?: string }, socket: Socket & { _httpMessage?: IncomingMessage }): void {
  if (error.code === 'ECONNRESET' || !socket.writable || socket.bytesWritten > 0) return void socket.destroy(error);
  const requestId = requestIdOf(undefined);
  const status = unreadableStatus[error.code ?? ''] ?? '400 Bad Request';
  const body = unreadable(requestId, Number.parseInt(status, 10));
  const headers = Object.entries({
    ...unreadableHeaders(requestId),
    'Content-Length': String(Buffer.byteLength(body)),
    Connection: 'close',
  });
  socket.end(`HTTP/1.1 ${status}\r\n${headers.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${body}`);
}
