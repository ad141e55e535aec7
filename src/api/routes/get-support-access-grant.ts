import { createRoute } from '@hono/zod-openapi';
import type { SessionManagementService } from '../../service/index.ts';
import { answerGrant } from '../answers.ts';
import { endpoint } from '../endpoint.ts';
import { grantTag, jsonAnswer, orgAndId } from '../route-parts.ts';
import { grantSchema } from '../schemas.ts';

const route = createRoute({
  method: 'get',
  path: '/v1/organizations/{org}/support-access-grants/{id}',
  operationId: 'getSupportAccessGrant',
  summary: 'A grant as it is now',
  tags: ['support access'],
  request: { params: orgAndId },
  responses: { 200: jsonAnswer('The grant.', grantSchema, grantTag) },
});

export const getSupportAccessGrant = ({
  service,
}: {
  service: Pick<SessionManagementService, 'getSupportAccessGrant'>;
}) =>
  endpoint({
    route,
    operation: 'grants.read',
    handler: async (c) => answerGrant(c, await service.getSupportAccessGrant(c.req.valid('param').id, c.get('admin'))),
  });
