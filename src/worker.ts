/** The worker process: runs workflows and activities, delivers what requests could not, seals the audit. */
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { existsSync } from 'node:fs';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { DefaultLogger, NativeConnection, Runtime, Worker, type WorkerOptions } from '@temporalio/worker';
import type { Logger } from 'pino';
import { type Config, ConfigError, loadConfig } from './config.ts';
import { buildWorkerDependencies, createLogger } from './dependencies.ts';
import { startDispatcher } from './dispatcher/dispatcher.ts';
import { createSearchAttributes } from './dispatcher/create-search-attributes.ts';

const RETRY_MS = 1_000;

export interface RunningWorker {
  /** Resolves when the worker has stopped; rejects when it failed. */
  done: Promise<void>;
  shutdown(): void;
}

/** Starts a worker. The dispatcher runs at once; the Temporal worker as soon as the server can be reached, for which it waits without end. */
export async function startWorker(config: Config, logger: Logger, overrides: Partial<WorkerOptions> = {}): Promise<RunningWorker> {
  const dependencies = await buildWorkerDependencies(config, logger);
  const dispatcher = startDispatcher({ ...dependencies, logger });
  const stop = new AbortController();
  const run = async () => {
    try {
      const connection = await connect(config, logger, stop.signal);
      if (connection === undefined) return;
      await createSearchAttributes(dependencies.connection, config.temporal.namespace, logger);
      const worker = await Worker.create({ ...workerOptions(config), connection, activities: dependencies.activities, ...overrides });
      const ran = worker.run();
      // asked to stop while it was being made
      if (stop.signal.aborted) worker.shutdown();
      else stop.signal.addEventListener('abort', () => worker.shutdown(), { once: true });
      logger.info({ taskQueue: config.temporal.taskQueue }, 'worker ready');
      await ran;
      await connection.close();
    } finally {
      await dispatcher.stop();
      await dependencies.close();
    }
  };
  return { done: run(), shutdown: () => stop.abort() };
}

/** The native connection fails at once where nothing listens: it is tried until something does. */
async function connect(config: Config, logger: Logger, signal: AbortSignal): Promise<NativeConnection | undefined> {
  for (let attempt = 1; !signal.aborted; attempt++) {
    try {
      return await NativeConnection.connect({ ...loadClientConnectConfig().connectionOptions, address: config.temporal.address });
    } catch (error) {
      if (attempt % 30 === 1) logger.warn({ address: config.temporal.address, error: error instanceof Error ? error.name : 'unknown' }, 'Temporal cannot be reached; trying again');
      await delay(RETRY_MS, undefined, { signal }).catch(() => undefined);
    }
  }
  return undefined;
}

const bundle = fileURLToPath(new URL('../workflow-bundle.js', import.meta.url));

/** A bundle built ahead (in the image) is used where it lies beside the sources; else it is made at start, in about two seconds. */
const workerOptions = (config: Config): WorkerOptions => ({
  namespace: config.temporal.namespace,
  taskQueue: config.temporal.taskQueue,
  ...(existsSync(bundle) ? { workflowBundle: { codePath: bundle } } : { workflowsPath: fileURLToPath(new URL('./workflows/index.ts', import.meta.url)) }),
  maxCachedWorkflows: 500,
  maxConcurrentActivityTaskExecutions: 50,
  shutdownGraceTime: `${config.shutdownGraceSeconds} seconds`,
  shutdownForceTime: `${config.shutdownGraceSeconds + 5} seconds`,
});

async function main(): Promise<void> {
  const config = loadConfig();
  const logger = createLogger(config);
  Runtime.install({
    shutdownSignals: [],
    logger: new DefaultLogger('WARN', ({ level, message, meta }) => logger[level === 'ERROR' ? 'error' : 'warn']({ error: meta?.['error'] instanceof Error ? meta['error'].message : undefined, workflowId: meta?.['workflowId'] }, message)),
  });
  const worker = await startWorker(config, logger);
  process.once('SIGTERM', worker.shutdown).once('SIGINT', worker.shutdown);
  await worker.done;
  logger.info('worker stopped');
}

if (import.meta.main) {
  await main().catch((error: unknown) => {
    process.stderr.write(`${error instanceof ConfigError ? error.message : String(error instanceof Error ? error.stack : error)}\n`);
    process.exit(1);
  });
}
