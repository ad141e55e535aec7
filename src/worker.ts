/** The worker process: runs workflows and activities, delivers what requests could not, seals the audit. */
import { makeTelemetryFilterString, Runtime, type WorkerOptions } from '@temporalio/worker';
import type { Logger } from 'pino';
import { type Config, ConfigError, loadConfig } from './config.ts';
import { createLogger } from './create-logger.ts';
import { buildWorkerDependencies } from './dependencies.ts';
import { startDispatcher } from './dispatcher/dispatcher.ts';
import { ListenError } from './listen.ts';
import { startMetricsServer } from './metrics/metrics-server.ts';
import { chooseTemporalMetricsAddress } from './metrics/temporal-metrics.ts';
import { startMarkingExpired } from './retention/mark-expired.ts';
import { warnOfPlainHttp } from './plain-http.ts';
import { startRetention } from './retention/retention.ts';
import { runTemporalWorker } from './run-temporal-worker.ts';
import { temporalLogger } from './temporal-logger.ts';
import { createWorkerReadiness } from './worker-readiness.ts';
import { startTracing } from './tracing/start-tracing.ts';
import { workerOptions } from './worker-options.ts';

export interface RunningWorker {
  /** Resolves when the worker has stopped; rejects when it failed. */
  done: Promise<void>;
  shutdown: () => void;
  /** Of `/metrics`, `/healthz` and `/readyz`; undefined where `METRICS_PORT` is not set. */
  metricsPort: number | undefined;
}

export interface WorkerStart extends Partial<WorkerOptions> {
  /** Where the Temporal SDK of this process shows its own metrics. */
  temporalMetricsUrl?: string;
}

/** Starts a worker. The dispatcher runs at once; the Temporal worker as soon as the server can be reached, for which it waits without end. */
export async function startWorker(
  config: Config,
  logger: Logger,
  { temporalMetricsUrl, ...overrides }: WorkerStart = {},
): Promise<RunningWorker> {
  const tracing = await startTracing(config.tracing, 'session-management-worker', logger);
  const dependencies = await buildWorkerDependencies(config, logger, tracing);
  warnOfPlainHttp({ authModule: config.authModule, issuers: [] }, logger);
  const stop = new AbortController();
  let isRunning = false;
  const { connection: client, setup } = dependencies;
  const readiness = createWorkerReadiness({ connection: client, setup, temporal: config.temporal });
  const pages =
    config.metricsPort === undefined
      ? undefined
      : await startMetricsServer({
          port: config.metricsPort,
          host: config.http.host,
          registry: dependencies.metrics,
          temporalMetricsUrl,
          readiness: () => (isRunning ? readiness() : { status: 'starting' }),
        });
  const dispatcher = startDispatcher({ ...dependencies, logger });
  const expired = startMarkingExpired({ ...dependencies, logger });
  const retention = startRetention({ ...dependencies, logger, sessionRetentionDays: config.sessionRetentionDays });
  const run = async () => {
    try {
      await runTemporalWorker({
        config,
        logger,
        setup,
        signal: stop.signal,
        options: { activities: dependencies.activities, ...workerOptions(config, tracing, overrides) },
        onRunning: (running) => void (isRunning = running),
      });
    } finally {
      await Promise.all([dispatcher.stop(), retention.stop(), expired.stop(), pages?.close()]);
      await dependencies.close();
      await tracing.stop();
    }
  };
  return { done: run(), shutdown: () => stop.abort(), metricsPort: pages?.port };
}

/** The process: from the environment to a stopped worker. */
export async function runWorker(overrides: Partial<WorkerOptions> = {}): Promise<void> {
  const config = loadConfig();
  const logger = createLogger(config);
  const metricsAddress = config.metricsPort === undefined ? undefined : await chooseTemporalMetricsAddress();
  Runtime.install({
    shutdownSignals: [],
    logger: temporalLogger(logger),
    telemetryOptions: {
      // without it the SDK's native core writes lines of its own, which are not JSON
      logging: { forward: {}, filter: makeTelemetryFilterString({ core: 'WARN', other: 'WARN' }) },
      ...(metricsAddress === undefined
        ? {}
        : {
            metrics: {
              prometheus: {
                bindAddress: metricsAddress,
                useSecondsForDurations: true,
                unitSuffix: true,
                countersTotalSuffix: true,
              },
            },
          }),
    },
  });
  const worker = await startWorker(config, logger, {
    ...overrides,
    ...(metricsAddress === undefined ? {} : { temporalMetricsUrl: `http://${metricsAddress}/metrics` }),
  });
  process.on('SIGTERM', worker.shutdown).on('SIGINT', worker.shutdown);
  await worker.done;
  logger.info('worker stopped');
}

if (import.meta.main) {
  await runWorker().catch((error: unknown) => {
    process.stderr.write(
      `${error instanceof ConfigError || error instanceof ListenError ? error.message : String(error instanceof Error ? (error.stack ?? `${error.name}: ${error.message}`) : error)}\n`,
    );
    process.exit(1);
  });
}
