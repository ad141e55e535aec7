import { createRoute } from '@hono/zod-openapi';
import type { SessionManagementService } from '../../service/index.ts';
import type { Cursors } from '../cursors.ts';
import { endpoint } from '../endpoint.ts';
import { pageQuery } from '../request-schemas.ts';
import { inOrganization, jsonAnswer } from '../route-parts.ts';
import { grantSchema, pageOf } from '../schemas.ts';

const route = createRoute({
  method: 'get',
  path: '/v1/organizations/{org}/support-access-grants',
  operationId: 'listSupportAccessGrants',
  summary: 'The grants of this organization, live and past, newest first',
  tags: ['support access'],
  request: { params: inOrganization, query: pageQuery },
  responses: { 200: jsonAnswer('A page of grants.', pageOf(grantSchema).openapi('SupportAccessGrantPage')) },
});

interface Dependencies {
  service: Pick<SessionManagementService, 'listSupportAccessGrants'>;
  cursors: Cursors;
}

export const listSupportAccessGrants = ({ service, cursors }: Dependencies) =>
  endpoint({
    route,
    operation: 'grants.read',
    refusals: ['invalid-cursor'],
    handler: async (c) => {
      const admin = c.get('admin');
      const { limit, cursor } = c.req.valid('query');
      const scope = { list: 'support-access-grants', organizationId: admin.organizationId };
      const page = await service.listSupportAccessGrants(admin, { limit, after: await cursors.read(cursor, scope) });
      return c.json({ items: page.items, nextCursor: await cursors.write(page.next, scope) }, 200);
    },
  });
