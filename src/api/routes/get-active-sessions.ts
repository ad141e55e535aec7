import { createRoute } from '@hono/zod-openapi';
import type { SessionManagementService } from '../../service/index.ts';
import type { Cursors } from '../cursors.ts';
import { endpoint } from '../endpoint.ts';
import { sessionsQuery } from '../request-schemas.ts';
import { jsonAnswer, orgAndUser } from '../route-parts.ts';
import { pageOf, sessionSchema } from '../schemas.ts';

const route = createRoute({
  method: 'get',
  path: '/v1/organizations/{org}/users/{user}/sessions',
  operationId: 'getActiveSessions',
  summary: 'The sessions of a user, newest start first',
  tags: ['sessions'],
  request: { params: orgAndUser, query: sessionsQuery },
  responses: {
    200: jsonAnswer(
      'A page of sessions; empty for a user who is unknown here.',
      pageOf(sessionSchema).openapi('SessionPage'),
    ),
  },
});

interface Dependencies {
  service: Pick<SessionManagementService, 'getActiveSessions'>;
  cursors: Cursors;
}

export const getActiveSessions = ({ service, cursors }: Dependencies) =>
  endpoint({
    route,
    operation: 'sessions.read',
    refusals: ['invalid-cursor'],
    handler: async (c) => {
      const admin = c.get('admin');
      const { user } = c.req.valid('param');
      const { limit, cursor, status } = c.req.valid('query');
      // another name than when lists were ordered by activity: a cursor of then means another place
      const scope = { list: 'sessions-by-start', organizationId: admin.organizationId, filters: { user, status } };
      const page = await service.getActiveSessions(user, admin, {
        limit,
        status,
        after: await cursors.read(cursor, scope),
      });
      return c.json({ items: page.items, nextCursor: await cursors.write(page.next, scope) }, 200);
    },
  });
