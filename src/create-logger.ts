import { type DestinationStream, type Logger, pino } from 'pino';
import type { Config } from './config.ts';
import { traceFields } from './tracing/active-span.ts';

/** The log of a process, as JSON lines. Where traces are on, a line that is written within a span says which. */
export function createLogger(config: Pick<Config, 'logLevel' | 'tracing'>, destination?: DestinationStream): Logger {
  const options = { level: config.logLevel, ...(config.tracing !== null && { mixin: traceFields }) };
  return destination === undefined ? pino(options) : pino(options, destination);
}
