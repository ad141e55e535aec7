import { createRoute } from '@hono/zod-openapi';
import type { SessionManagementService } from '../../service/index.ts';
import { endpoint } from '../endpoint.ts';
import { inOrganization, jsonAnswer } from '../route-parts.ts';
import { auditHeadSchema } from '../schemas.ts';

const route = createRoute({
  method: 'get',
  path: '/v1/organizations/{org}/audit-events/head',
  operationId: 'getAuditHead',
  summary: 'The signed head of the audit chain',
  description:
    'Signed when the chain has moved, at most once a minute. Whoever keeps it can tell later whether the audit up to it was changed. 404 where nothing is signed.',
  tags: ['audit'],
  request: { params: inOrganization },
  responses: { 200: jsonAnswer('The head.', auditHeadSchema) },
});

export const getAuditHead = ({ service }: { service: Pick<SessionManagementService, 'getAuditHead'> }) =>
  endpoint({
    route,
    operation: 'audit.read',
    refusals: ['not-found'],
    handler: async (c) => c.json(await service.getAuditHead(c.get('admin')), 200),
  });
