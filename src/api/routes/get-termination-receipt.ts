import { createRoute } from '@hono/zod-openapi';
import type { SessionManagementService } from '../../service/index.ts';
import { endpoint } from '../endpoint.ts';
import { jsonAnswer, orgAndId } from '../route-parts.ts';
import { receiptSchema } from '../schemas.ts';

const route = createRoute({
  method: 'get',
  path: '/v1/organizations/{org}/terminations/{id}/receipt',
  operationId: 'getTerminationReceipt',
  summary: 'The signed receipt of a verified termination',
  description: 'Checked by anybody with the keys of `/.well-known/audit-keys.json`. 404 where nothing is signed.',
  tags: ['terminations'],
  request: { params: orgAndId },
  responses: { 200: jsonAnswer('The receipt.', receiptSchema) },
});

export const getTerminationReceipt = ({
  service,
}: {
  service: Pick<SessionManagementService, 'getTerminationReceipt'>;
}) =>
  endpoint({
    route,
    operation: 'terminations.read',
    refusals: ['not-verified-yet'],
    handler: async (c) => c.json(await service.getTerminationReceipt(c.req.valid('param').id, c.get('admin')), 200),
  });
