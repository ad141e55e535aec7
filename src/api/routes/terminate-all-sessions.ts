import { createRoute } from '@hono/zod-openapi';
import type { SessionManagementService } from '../../service/index.ts';
import { answerTermination } from '../answers.ts';
import { endpoint } from '../endpoint.ts';
import { waitPreference } from '../prefer.ts';
import { terminateManyBody } from '../request-schemas.ts';
import { jsonBody, orgAndUser, preferHeader, terminationAnswers } from '../route-parts.ts';
import { showTermination } from './get-termination.ts';

const route = createRoute({
  method: 'post',
  path: '/v1/organizations/{org}/users/{user}/sessions/terminate',
  operationId: 'terminateAllSessions',
  summary: 'End all sessions of a user in this organization, and their refresh-token chains',
  description:
    'The caller’s own session is kept unless `includeOwn`. A user who is unknown here has nothing to end: 200 with zeros.',
  tags: ['sessions'],
  request: { params: orgAndUser, headers: preferHeader, body: jsonBody(terminateManyBody, false) },
  responses: terminationAnswers,
});

export const terminateAllSessions = ({
  service,
}: {
  service: Pick<SessionManagementService, 'terminateAllSessions' | 'getTermination'>;
}) =>
  endpoint({
    route,
    operation: 'sessions.terminate',
    showDecided: showTermination(service),
    handler: async (c) => {
      const preference = waitPreference(c.req.header('prefer'));
      const { user } = c.req.valid('param');
      const options = { ...c.req.valid('json'), waitSeconds: preference.waitSeconds, onDecided: c.get('onDecided') };
      return answerTermination(c, await service.terminateAllSessions(user, c.get('admin'), options), preference);
    },
  });
