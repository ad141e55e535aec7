import { createRoute } from '@hono/zod-openapi';
import type { SessionManagementService } from '../../service/index.ts';
import type { Cursors } from '../cursors.ts';
import { endpoint } from '../endpoint.ts';
import { pageQuery } from '../request-schemas.ts';
import { inOrganization, jsonAnswer } from '../route-parts.ts';
import { pageOf, terminationSchema } from '../schemas.ts';

const route = createRoute({
  method: 'get',
  path: '/v1/organizations/{org}/terminations',
  operationId: 'listTerminations',
  summary: 'The terminations of this organization, newest first',
  tags: ['terminations'],
  request: { params: inOrganization, query: pageQuery },
  responses: { 200: jsonAnswer('A page of terminations.', pageOf(terminationSchema).openapi('TerminationPage')) },
});

interface Dependencies {
  service: Pick<SessionManagementService, 'listTerminations'>;
  cursors: Cursors;
}

export const listTerminations = ({ service, cursors }: Dependencies) =>
  endpoint({
    route,
    operation: 'terminations.read',
    refusals: ['invalid-cursor'],
    handler: async (c) => {
      const admin = c.get('admin');
      const { limit, cursor } = c.req.valid('query');
      const scope = { list: 'terminations', organizationId: admin.organizationId };
      const page = await service.listTerminations(admin, { limit, after: await cursors.read(cursor, scope) });
      return c.json({ items: page.items, nextCursor: await cursors.write(page.next, scope) }, 200);
    },
  });
