import type { Logger } from 'pino';
import type { TracingSettings } from './settings.ts';
import { noTracing, type Tracing } from './tracing.ts';

/** The only way to OpenTelemetry: it is loaded where traces are configured, and nowhere else. */
export async function startTracing(
  settings: TracingSettings | null,
  processName: string,
  logger: Logger,
): Promise<Tracing> {
  if (settings === null) return noTracing;
  const { createTracing } = await import('./open-telemetry.ts');
  return createTracing(settings, processName, logger);
}
