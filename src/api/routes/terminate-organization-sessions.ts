import { createRoute } from '@hono/zod-openapi';
import type { SessionManagementService } from '../../service/index.ts';
import { answerTermination } from '../answers.ts';
import { endpoint } from '../endpoint.ts';
import { waitPreference } from '../prefer.ts';
import { terminateManyBody } from '../request-schemas.ts';
import { inOrganization, jsonBody, preferHeader, terminationAnswers } from '../route-parts.ts';
import { callerInOrganization, type TakeShare } from '../write-limit.ts';
import { showTermination } from './get-termination.ts';

const route = createRoute({
  method: 'post',
  path: '/v1/organizations/{org}/sessions/terminate',
  operationId: 'terminateOrganizationSessions',
  summary: 'The incident button: end everybody’s sessions in this organization',
  description:
    'The caller’s own session is kept unless `includeOwn`. The decision costs the same however many sessions there are.',
  tags: ['sessions'],
  request: { params: inOrganization, headers: preferHeader, body: jsonBody(terminateManyBody, false) },
  responses: terminationAnswers,
});

interface Dependencies {
  service: Pick<SessionManagementService, 'terminateOrganizationSessions' | 'getTermination'>;
  /** Each of these is work for every session of the organization: a caller has fewer of them than of other writes. */
  takeOrganizationWide: TakeShare;
}

export const terminateOrganizationSessions = ({ service, takeOrganizationWide }: Dependencies) =>
  endpoint({
    route,
    operation: 'sessions.terminate',
    showDecided: showTermination(service),
    handler: async (c) => {
      takeOrganizationWide(callerInOrganization(c.get('admin')));
      const preference = waitPreference(c.req.header('prefer'));
      const options = { ...c.req.valid('json'), waitSeconds: preference.waitSeconds, onDecided: c.get('onDecided') };
      return answerTermination(c, await service.terminateOrganizationSessions(c.get('admin'), options), preference);
    },
  });
