import { createRoute } from '@hono/zod-openapi';
import { ServiceError } from '../../errors.ts';
import type { SessionManagementService } from '../../service/index.ts';
import { endpoint } from '../endpoint.ts';
import { checkBody } from '../request-schemas.ts';
import { jsonAnswer, jsonBody } from '../route-parts.ts';
import { decisionSchema } from '../schemas.ts';

const route = createRoute({
  method: 'post',
  path: '/v1/support-access/check',
  operationId: 'checkSupportAccess',
  summary: 'May this person act in this organization now?',
  description:
    'Scope `support-access:check`. Deny on any error. An answer may be used again for `maxAgeSeconds`, by its asker alone.',
  tags: ['machines'],
  request: { body: jsonBody(checkBody, true) },
  responses: { 200: jsonAnswer('The decision.', decisionSchema) },
});

export const checkSupportAccess = ({ service }: { service: Pick<SessionManagementService, 'checkSupportAccess'> }) =>
  endpoint({
    route,
    operation: 'support-access.check',
    handler: async (c) => {
      const question = c.req.valid('json');
      const own = c.get('tokenOrganizationId');
      if (own !== null && own !== question.organizationId)
        throw new ServiceError('role-required', 'Your token speaks for another organization.');
      return c.json(await service.checkSupportAccess(question, own), 200);
    },
  });
