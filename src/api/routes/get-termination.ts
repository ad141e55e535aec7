import { createRoute } from '@hono/zod-openapi';
import type { SessionManagementService } from '../../service/index.ts';
import { answerTermination } from '../answers.ts';
import { endpoint, type ShowDecided } from '../endpoint.ts';
import { jsonAnswer, orgAndId } from '../route-parts.ts';
import { terminationSchema } from '../schemas.ts';

const route = createRoute({
  method: 'get',
  path: '/v1/organizations/{org}/terminations/{id}',
  operationId: 'getTermination',
  summary: 'A termination as it is now',
  tags: ['terminations'],
  request: { params: orgAndId },
  responses: { 200: jsonAnswer('The termination.', terminationSchema) },
});

type Service = Pick<SessionManagementService, 'getTermination'>;

export const getTermination = ({ service }: { service: Service }) =>
  endpoint({
    route,
    operation: 'terminations.read',
    handler: async (c) => c.json(await service.getTermination(c.req.valid('param').id, c.get('admin')), 200),
  });

/** A decided termination in the form of the answer that decided it: 200 or 202. */
export const showTermination =
  (service: Service): ShowDecided =>
  async (c, id) =>
    answerTermination(c, await service.getTermination(id, c.get('admin')), { applied: null });
