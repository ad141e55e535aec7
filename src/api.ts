/** The API process: configuration → dependencies → app → listen → drain. */
import { once } from 'node:events';
import type { Logger } from 'pino';
import { createApp } from './api/app.ts';
import { createCursors } from './api/cursors.ts';
import { createIdempotencyKeys } from './api/idempotency.ts';
import { createHttpServer, drain } from './api/server.ts';
import { createSigningKeys } from './api/signing-keys.ts';
import { createTokenVerifier } from './api/token-verifier.ts';
import { type Config, ConfigError, loadConfig } from './config.ts';
import { createLogger } from './create-logger.ts';
import { buildApiDependencies } from './dependencies.ts';
import { portOf } from './metrics/port-of.ts';
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
  const dependencies = await buildApiDependencies(config, logger, tracing);
  const draining = new AbortController();
  const app = createApp({
    service: dependencies.service,
    callers: dependencies.callerFacts,
    verifyToken: createTokenVerifier(config.jwt, createSigningKeys(config.jwt.jwksUrl, logger)),
    idempotency: createIdempotencyKeys(dependencies.database.pool),
    cursors: createCursors(dependencies.cursorKey),
    readiness: dependencies.readiness,
    metrics: dependencies.metrics,
    tracing,
    config,
    logger,
    draining: draining.signal,
  });
  const server = createHttpServer(app);
  server.listen(config.http.port, config.http.host);
  await once(server, 'listening');
  const port = portOf(server);
  logger.info({ host: config.http.host, port }, 'api ready');
  return {
    url: `http://127.0.0.1:${port}`,
    async stop() {
      draining.abort();
      // leaves a little of the grace for the connections
      await drain(server, config.shutdownGraceSeconds * 850);
      await dependencies.close();
      await tracing.stop();
      logger.info('api stopped');
    },
  };
}

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
