/** The API process: configuration → dependencies → app → listen → drain. */
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import { createApp } from './api/app.ts';
import { createCursors } from './api/cursors.ts';
import { createIdempotencyKeys } from './api/idempotency.ts';
import { reportDropped } from './api/connections.ts';
import { createHttpServer } from './api/server.ts';
import { createIssuerKeys } from './api/issuer-keys.ts';
import { createTokenVerifier } from './api/token-verifier.ts';
import { type Config, ConfigError, loadConfig } from './config.ts';
import { createLogger } from './create-logger.ts';
import { buildApiDependencies } from './dependencies.ts';
import { listen, urlOf } from './listen.ts';
import { startMetricsServer } from './metrics/metrics-server.ts';
import { registerSigningKeys } from './metrics/signing-keys.ts';
import { warnOfPlainHttp } from './plain-http.ts';
import { startTracing } from './tracing/start-tracing.ts';

export interface RunningApi {
  /** Base address, with the port that was given where `PORT` is 0. */
  url: string;
  /** Stops accepting, lets what runs finish within the grace, closes. */
  stop(): Promise<void>;
}

/** Starts the API; resolves once it listens, rejects where it cannot. Needs no dependency to be up. */
export async function startApi(config: Config, logger: Logger): Promise<RunningApi> {
  const tracing = await startTracing(config.tracing, 'session-management-api', logger);
  const draining = new AbortController();
  const dependencies = await buildApiDependencies(config, logger, { tracing, draining: draining.signal });
  const issuerKeys = createIssuerKeys(config.issuers, logger);
  registerSigningKeys(dependencies.metrics, issuerKeys.ages);
  warnOfPlainHttp(config, logger);
  const app = createApp({
    service: dependencies.service,
    callers: dependencies.callerFacts,
    verifyToken: createTokenVerifier({ ...config, issuers: issuerKeys.keyed }),
    idempotency: createIdempotencyKeys(dependencies.database.pool),
    cursors: createCursors(dependencies.cursorKey),
    readiness: async () => {
      const [dependenciesState, signingKeys] = await Promise.all([dependencies.readiness(), issuerKeys.state()]);
      return { ...dependenciesState, signingKeys };
    },
    metrics: dependencies.metrics,
    auditKeys: dependencies.auditKeys,
    tracing,
    config,
    logger,
    draining: draining.signal,
  });
  const { server, drain } = createHttpServer(app);
  reportDropped(server, logger);
  const close = async () => {
    issuerKeys.stop();
    await dependencies.close();
    await tracing.stop();
  };
  const { host } = config.http;
  const serve = async () => {
    const port = await listen(server, { variable: 'PORT', port: config.http.port, host });
    const pages = await showMetrics(config, dependencies.metrics, draining.signal);
    logger.info({ host, port, metricsPort: pages?.port }, 'api ready');
    return { port, pages };
  };
  const { port, pages } = await serve().catch(async (error: unknown) => {
    await drain(0);
    await close();
    throw error;
  });
  return {
    url: urlOf(host, port),
    async stop() {
      draining.abort();
      // leaves a little of the grace for the connections
      await drain(config.shutdownGraceSeconds * 850);
      await pages?.close();
      await close();
      logger.info('api stopped');
    },
  };
}

/** `/metrics` on a port of its own, where one is configured. */
const showMetrics = async ({ metricsPort, http }: Config, registry: Registry, draining: AbortSignal) =>
  metricsPort === undefined
    ? undefined
    : startMetricsServer({
        port: metricsPort,
        host: http.host,
        registry,
        readiness: () => ({ status: draining.aborted ? 'unavailable' : 'ready' }),
      });

async function main(): Promise<void> {
  const config = loadConfig();
  const logger = createLogger(config);
  const api = await startApi(config, logger);
  let stopping = false;
  const stop = () => {
    if (stopping) return;
    stopping = true;
    void api.stop().then(() => process.exit(0));
  };
  process.on('SIGTERM', stop).on('SIGINT', stop);
}

if (import.meta.main) {
  await main().catch((error: unknown) => {
    process.stderr.write(
      `${error instanceof ConfigError ? error.message : String(error instanceof Error ? error.message : error)}\n`,
    );
    process.exit(1);
  });
}
