import { createRoute } from '@hono/zod-openapi';
import type { SessionManagementService } from '../../service/index.ts';
import { answerTermination } from '../answers.ts';
import { endpoint } from '../endpoint.ts';
import { waitPreference } from '../prefer.ts';
import { reasonBody } from '../request-schemas.ts';
import { jsonBody, orgAndSession, preferHeader, terminationAnswers } from '../route-parts.ts';
import { showTermination } from './get-termination.ts';

const route = createRoute({
  method: 'post',
  path: '/v1/organizations/{org}/sessions/{session}/terminate',
  operationId: 'terminateSession',
  summary: 'End one session and its refresh-token chains',
  description:
    'Also the caller’s own. A session that a termination has ended already is answered with that termination.',
  tags: ['sessions'],
  request: { params: orgAndSession, headers: preferHeader, body: jsonBody(reasonBody, false) },
  responses: terminationAnswers,
});

export const terminateSession = ({
  service,
}: {
  service: Pick<SessionManagementService, 'terminateSession' | 'getTermination'>;
}) =>
  endpoint({
    route,
    operation: 'sessions.terminate',
    showDecided: showTermination(service),
    handler: async (c) => {
      const preference = waitPreference(c.req.header('prefer'));
      const { session } = c.req.valid('param');
      const options = { ...c.req.valid('json'), waitSeconds: preference.waitSeconds, onDecided: c.get('onDecided') };
      return answerTermination(c, await service.terminateSession(session, c.get('admin'), options), preference);
    },
  });
