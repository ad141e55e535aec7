import { createRoute } from '@hono/zod-openapi';
import type { SessionManagementService } from '../../service/index.ts';
import { answerGrant } from '../answers.ts';
import { endpoint } from '../endpoint.ts';
import { reasonBody } from '../request-schemas.ts';
import { grantTag, jsonAnswer, jsonBody, orgAndId } from '../route-parts.ts';
import { grantSchema } from '../schemas.ts';

const route = createRoute({
  method: 'post',
  path: '/v1/organizations/{org}/support-access-grants/{id}/revoke',
  operationId: 'revokeSupportAccessGrant',
  summary: 'End a grant now; again changes nothing',
  tags: ['support access'],
  request: { params: orgAndId, body: jsonBody(reasonBody, false) },
  responses: { 200: jsonAnswer('The grant, which is over.', grantSchema, grantTag) },
});

export const revokeSupportAccessGrant = ({
  service,
}: {
  service: Pick<SessionManagementService, 'revokeSupportAccessGrant' | 'getSupportAccessGrant'>;
}) =>
  endpoint({
    route,
    operation: 'grants.revoke',
    showDecided: async (c, id) => answerGrant(c, await service.getSupportAccessGrant(id, c.get('admin'))),
    handler: async (c) => {
      const options = { ...c.req.valid('json'), onDecided: c.get('onDecided') };
      return answerGrant(c, await service.revokeSupportAccessGrant(c.req.valid('param').id, c.get('admin'), options));
    },
  });
