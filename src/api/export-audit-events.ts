import type { z } from '@hono/zod-openapi';
import { ServiceError } from '../errors.ts';
import type { SessionManagementService } from '../service/index.ts';
import type { ApiContext } from './api-env.ts';
import { type ExportType, exportText } from './audit-formats.ts';
import type { OpenStream } from './open-stream.ts';
import type { auditQuery } from './request-schemas.ts';

type FileType = Exclude<ExportType, 'application/json'>;
type Query = z.output<typeof auditQuery>;

export const exportHeaders = (type: FileType): Record<string, string> => ({
  'Content-Type': type === 'text/csv' ? 'text/csv; charset=utf-8; header=present' : type,
  'Content-Disposition': `attachment; filename="audit-events.${type === 'text/csv' ? 'csv' : 'ndjson'}"`,
});

interface Dependencies {
  service: Pick<SessionManagementService, 'exportAuditEvents'>;
  openStream: OpenStream;
}

/** The body of an export: everything that matches, whole or visibly broken off, whatever its size. */
export function createExportAuditEvents({ service, openStream }: Dependencies) {
  return async function exportAuditEvents(
    c: ApiContext,
    type: FileType,
    { limit, cursor, ...filter }: Query,
  ): Promise<ReadableStream> {
    refusePaging({ limit, cursor });
    return openStream(c, (signal) =>
      exportText(type, service.exportAuditEvents(c.get('admin'), filter, signal), signal),
    );
  };
}

function refusePaging(paging: Record<string, unknown>): void {
  const given = Object.entries(paging).filter(([, value]) => value !== undefined);
  if (given.length === 0) return;
  const errors = given.map(([name]) => ({
    pointer: `?${name}`,
    message: 'belongs to a page of JSON; an export is everything',
  }));
  throw new ServiceError('validation-failed', 'An export has no pages.', { errors });
}
