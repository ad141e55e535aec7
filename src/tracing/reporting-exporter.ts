import { ExportResultCode } from '@opentelemetry/core';
import type { SpanExporter } from '@opentelemetry/sdk-trace';
import type { Logger } from 'pino';

/** The same exporter, which says once that traces are lost, and once that they arrive again. */
export function reportingExporter(exporter: SpanExporter, logger: Logger): SpanExporter {
  let isLosing = false;
  return {
    export(spans, answer) {
      exporter.export(spans, (result) => {
        const isLost = result.code !== ExportResultCode.SUCCESS;
        if (isLost && !isLosing)
          logger.warn({ error: result.error?.name ?? 'unknown' }, 'traces cannot be exported and are lost');
        if (!isLost && isLosing) logger.info('traces are exported again');
        isLosing = isLost;
        answer(result);
      });
    },
    forceFlush: () => exporter.forceFlush?.() ?? Promise.resolve(),
    shutdown: () => exporter.shutdown(),
  };
}
