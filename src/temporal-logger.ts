import { DefaultLogger, type LogLevel } from '@temporalio/worker';
import type { Logger } from 'pino';

/** What may be taken over from a message of the SDK, a workflow or an activity: ids, counts and codes. */
const shown = ['workflowId', 'organizationId', 'terminationId', 'grantId', 'errorClass', 'attempt', 'activityType'];
const levels: Record<LogLevel, 'trace' | 'debug' | 'info' | 'warn' | 'error'> = {
  TRACE: 'trace',
  DEBUG: 'debug',
  INFO: 'info',
  WARN: 'warn',
  ERROR: 'error',
};

/** The Temporal SDK's log as lines of our own. Inputs and results never get into one. */
export const temporalLogger = (logger: Logger): DefaultLogger =>
  new DefaultLogger('INFO', ({ level, message, meta = {} }) => {
    const error = meta['error'] instanceof Error ? { error: meta['error'].message } : {};
    logger[levels[level]](
      { ...Object.fromEntries(shown.flatMap((key) => (key in meta ? [[key, meta[key]]] : []))), ...error },
      message,
    );
  });
