import { createRoute } from '@hono/zod-openapi';
import type { SessionManagementService } from '../../service/index.ts';
import { answerCreatedGrant } from '../answers.ts';
import { endpoint } from '../endpoint.ts';
import { createGrantBody } from '../request-schemas.ts';
import { grantTag, header, inOrganization, jsonAnswer, jsonBody } from '../route-parts.ts';
import { grantSchema } from '../schemas.ts';

const route = createRoute({
  method: 'post',
  path: '/v1/organizations/{org}/support-access-grants',
  operationId: 'createSupportAccessGrant',
  summary: 'Let a Global Admin, or any, act in this organization until an instant',
  tags: ['support access'],
  request: { params: inOrganization, body: jsonBody(createGrantBody, true) },
  responses: {
    201: jsonAnswer('The grant, which is live.', grantSchema, { ...grantTag, Location: header('The grant.') }),
  },
});

export const createSupportAccessGrant = ({
  service,
}: {
  service: Pick<SessionManagementService, 'createSupportAccessGrant' | 'getSupportAccessGrant'>;
}) =>
  endpoint({
    route,
    operation: 'grants.create',
    refusals: ['grant-exists', 'expiry-out-of-bounds', 'workflow-engine-unavailable'],
    showDecided: async (c, id) => answerCreatedGrant(c, await service.getSupportAccessGrant(id, c.get('admin'))),
    handler: async (c) => {
      const { userId, expiresAt, reason } = c.req.valid('json');
      const options = { reason, onDecided: c.get('onDecided') };
      return answerCreatedGrant(c, await service.createSupportAccessGrant(userId, expiresAt, c.get('admin'), options));
    },
  });
