import { setTimeout as delay } from 'node:timers/promises';
import { GracefulShutdownPeriodExpiredError, NativeConnection, Worker, type WorkerOptions } from '@temporalio/worker';
import type { Logger } from 'pino';
import type { Config } from './config.ts';
import type { TemporalSetup } from './dispatcher/temporal-setup.ts';
import { temporalConnection } from './temporal-connection.ts';

export interface TemporalWorkerOptions {
  config: Config;
  logger: Logger;
  setup: TemporalSetup;
  /** Aborts when it is to stop. */
  signal: AbortSignal;
  options: Omit<WorkerOptions, 'connection'>;
  onRunning: (isRunning: boolean) => void;
}

const RETRY_MS = 1_000;
/** Of what is tried each second, one try in this many is logged. */
const LOG_EVERY = 30;

/**
 * Works until it is told to stop: waits for a Temporal that cannot be reached, and begins again, with the namespace, where
 * that is missing or was lost. Every other failure rejects.
 */
export async function runTemporalWorker({ config, logger, signal, ...given }: TemporalWorkerOptions): Promise<void> {
  const connection = await connect(config, logger, signal);
  if (connection === undefined) return;
  for (let attempt = 1; !signal.aborted; attempt++) {
    await given.setup.mend();
    try {
      await runOnce(await Worker.create({ ...given.options, connection }), { ...given, logger, signal });
    } catch (error) {
      if (!isNamespaceGone(error)) throw error;
      if (attempt % LOG_EVERY === 1)
        logger.warn({ class: 'namespace-missing' }, 'the worker has no namespace; it begins again');
      await delay(RETRY_MS, undefined, { signal }).catch(() => undefined);
    }
  }
  await connection.close();
}

/** Runs a worker until it is told to stop, or fails. */
async function runOnce(
  worker: Worker,
  { options, logger, signal, onRunning }: Pick<TemporalWorkerOptions, 'options' | 'logger' | 'signal' | 'onRunning'>,
): Promise<void> {
  const shutdown = () => worker.shutdown();
  const ran = worker.run();
  // asked to stop while it was being made
  if (signal.aborted) shutdown();
  else signal.addEventListener('abort', shutdown, { once: true });
  logger.info({ taskQueue: options.taskQueue }, 'worker ready');
  onRunning(true);
  try {
    await ran;
  } catch (error) {
    // what could not be finished within the grace is another worker's: every activity may be repeated
    if (!(error instanceof GracefulShutdownPeriodExpiredError)) throw error;
    logger.warn('stopped with activities unfinished; other workers repeat them');
  } finally {
    onRunning(false);
    signal.removeEventListener('abort', shutdown);
  }
}

/** The native worker tells it by words alone. */
const isNamespaceGone = (error: unknown): boolean =>
  error instanceof Error && /namespace.*not found/i.test(error.message);

/** The native connection fails at once where nothing listens: it is tried until something does. */
async function connect(config: Config, logger: Logger, signal: AbortSignal): Promise<NativeConnection | undefined> {
  for (let attempt = 1; !signal.aborted; attempt++) {
    try {
      return await NativeConnection.connect(temporalConnection(config.temporal));
    } catch (error) {
      if (attempt % LOG_EVERY === 1)
        logger.warn(
          { address: config.temporal.address, error: error instanceof Error ? error.name : 'unknown' },
          'Temporal cannot be reached; trying again',
        );
      await delay(RETRY_MS, undefined, { signal }).catch(() => undefined);
    }
  }
  return undefined;
}
