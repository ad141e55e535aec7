import { createServer, type ServerResponse } from 'node:http';
import type { Registry } from 'prom-client';
import { listen } from '../listen.ts';

export interface MetricsServerOptions {
  port: number;
  host: string;
  registry: Registry;
  /** Where the Temporal SDK shows its own metrics, in this process; they become part of the page. */
  temporalMetricsUrl?: string;
  /** Whether the process takes work; never rejects. */
  readiness: () => Promise<ProcessReadiness> | ProcessReadiness;
}

/** `degraded`: it takes work, and something is amiss. What else it says is shown as it is. */
export interface ProcessReadiness {
  status: 'ready' | 'degraded' | 'starting' | 'unavailable';
}

export interface MetricsServer {
  port: number;
  close(): Promise<void>;
}

/** What a process shows on a port of its own: `/metrics`, `/healthz` (it lives; touches nothing) and `/readyz` (it takes work). */
export async function startMetricsServer(options: MetricsServerOptions): Promise<MetricsServer> {
  const server = createServer(
    { requestTimeout: 10_000, headersTimeout: 5_000, maxHeaderSize: 8_192 },
    (request, response) => {
      void answer(options, request.url?.split('?', 1)[0], response).catch(() => response.destroy());
    },
  );
  const port = await listen(server, { variable: 'METRICS_PORT', port: options.port, host: options.host });
  return {
    port,
    close: () =>
      new Promise((closed) => {
        server.close(() => closed());
        server.closeAllConnections();
      }),
  };
}

async function answer(
  options: MetricsServerOptions,
  path: string | undefined,
  response: ServerResponse,
): Promise<void> {
  const page = (status: number, text: string, type = 'application/json') =>
    void response.writeHead(status, { 'content-type': type, 'x-content-type-options': 'nosniff' }).end(text);
  if (path === '/healthz') return page(200, '{"status":"alive"}');
  if (path === '/readyz') {
    const readiness = await options.readiness();
    return page(takesWork(readiness) ? 200 : 503, JSON.stringify(readiness));
  }
  if (path !== '/metrics') return page(404, '{}');
  const [own, temporal] = await Promise.all([options.registry.metrics(), temporalMetrics(options.temporalMetricsUrl)]);
  page(200, own + temporal, options.registry.contentType);
}

const takesWork = ({ status }: ProcessReadiness): boolean => status === 'ready' || status === 'degraded';

/** The SDK exports by itself only; one page for both is one target to scrape. Empty where it cannot be had. */
async function temporalMetrics(url: string | undefined): Promise<string> {
  if (url === undefined) return '';
  try {
    return await (await fetch(url, { signal: AbortSignal.timeout(2_000) })).text();
  } catch {
    return '';
  }
}
