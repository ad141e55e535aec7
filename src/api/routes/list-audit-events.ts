import { createRoute, z } from '@hono/zod-openapi';
import type { SessionManagementService } from '../../service/index.ts';
import { preferredType } from '../audit-formats.ts';
import type { Cursors } from '../cursors.ts';
import { endpoint } from '../endpoint.ts';
import { createExportAuditEvents, exportHeaders } from '../export-audit-events.ts';
import type { OpenStream } from '../open-stream.ts';
import { auditQuery } from '../request-schemas.ts';
import { header, inOrganization } from '../route-parts.ts';
import { auditEventSchema, pageOf } from '../schemas.ts';

const route = createRoute({
  method: 'get',
  path: '/v1/organizations/{org}/audit-events',
  operationId: 'listAuditEvents',
  summary: 'What was decided and done here, newest first',
  description:
    'A page as JSON; everything that matches as NDJSON or CSV, by `Accept`, then without `limit` and `cursor`. An export that is cut off ends with a broken connection.',
  tags: ['audit'],
  request: { params: inOrganization, query: auditQuery },
  responses: {
    200: {
      description: 'A page, or the export.',
      headers: { Vary: header('`Accept`.') },
      content: {
        'application/json': { schema: pageOf(auditEventSchema).openapi('AuditEventPage') },
        'application/x-ndjson': { schema: z.string() },
        'text/csv': { schema: z.string() },
      },
    },
  },
});

interface Dependencies {
  service: Pick<SessionManagementService, 'listAuditEvents' | 'exportAuditEvents'>;
  cursors: Cursors;
  openStream: OpenStream;
}

export function listAuditEvents({ service, cursors, openStream }: Dependencies) {
  const exportAll = createExportAuditEvents({ service, openStream });
  return endpoint({
    route,
    operation: 'audit.read',
    refusals: ['invalid-cursor', 'rate-limited'],
    handler: async (c) => {
      c.header('Vary', 'Accept');
      const type = preferredType(c.req.header('accept'));
      const query = c.req.valid('query');
      if (type !== 'application/json') return c.body(await exportAll(c, type, query), 200, exportHeaders(type));
      const admin = c.get('admin');
      const { limit, cursor, ...filters } = query;
      const scope = { list: 'audit-events', organizationId: admin.organizationId, filters };
      const page = await service.listAuditEvents(admin, {
        ...filters,
        limit,
        after: await cursors.read(cursor, scope),
      });
      return c.json({ items: page.items, nextCursor: await cursors.write(page.next, scope) }, 200);
    },
  });
}
