import { createRoute } from '@hono/zod-openapi';
import type { SessionManagementService } from '../../service/index.ts';
import { endpoint } from '../endpoint.ts';
import { flagBody } from '../request-schemas.ts';
import { inOrganization, jsonAnswer, jsonBody } from '../route-parts.ts';
import { flagSchema } from '../schemas.ts';

/** The Organization Settings flag "Allow support access until {date}": read, set, clear. */
const path = '/v1/organizations/{org}/support-access';
const tags = ['support access'];
const responses = { 200: jsonAnswer('The flag.', flagSchema) };

const readRoute = createRoute({
  method: 'get',
  path,
  tags,
  responses,
  operationId: 'getSupportAccess',
  summary: 'Whether support access is allowed, and until when',
  request: { params: inOrganization },
});
const setRoute = createRoute({
  method: 'put',
  path,
  tags,
  responses,
  operationId: 'allowSupportAccess',
  summary: 'Allow support access until a date, for any Global Admin',
  request: { params: inOrganization, body: jsonBody(flagBody, true) },
});
const clearRoute = createRoute({
  method: 'delete',
  path,
  tags,
  responses,
  operationId: 'endSupportAccess',
  summary: 'End every live grant',
  request: { params: inOrganization },
});

export const getSupportAccess = ({ service }: { service: Pick<SessionManagementService, 'getSupportAccess'> }) =>
  endpoint({
    route: readRoute,
    operation: 'flag.read',
    handler: async (c) => c.json(await service.getSupportAccess(c.get('admin')), 200),
  });

export const allowSupportAccess = ({ service }: { service: Pick<SessionManagementService, 'allowSupportAccess'> }) =>
  endpoint({
    route: setRoute,
    operation: 'flag.write',
    refusals: ['grant-exists', 'grant-ended', 'expiry-out-of-bounds', 'workflow-engine-unavailable'],
    handler: async (c) => c.json(await service.allowSupportAccess(c.req.valid('json'), c.get('admin')), 200),
  });

export const endSupportAccess = ({ service }: { service: Pick<SessionManagementService, 'endSupportAccess'> }) =>
  endpoint({
    route: clearRoute,
    operation: 'flag.clear',
    handler: async (c) => c.json(await service.endSupportAccess(c.get('admin')), 200),
  });
