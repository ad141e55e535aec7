import { createRoute, z } from '@hono/zod-openapi';
import type { SessionManagementService } from '../../service/index.ts';
import { endpoint } from '../endpoint.ts';
import { sessionEventsBody } from '../request-schemas.ts';
import { jsonAnswer, jsonBody } from '../route-parts.ts';
import { eventResultSchema } from '../schemas.ts';

const MAX_BODY_BYTES = 4 * 1024 * 1024;

const route = createRoute({
  method: 'post',
  path: '/v1/session-events',
  operationId: 'recordSessionEvents',
  summary: 'Session events from the Auth Module, at least once, in any order',
  description:
    'Scope `sessions:ingest`. A `rejected` start is to be refused by the Auth Module in the same breath. A token with an organization speaks for that organization only: events of others are rejected.',
  tags: ['machines'],
  request: { body: jsonBody(sessionEventsBody, true) },
  responses: {
    200: jsonAnswer(
      'What became of each event, in their order.',
      z.object({ results: z.array(eventResultSchema) }).openapi('SessionEventResults'),
    ),
  },
});

export const recordSessionEvents = ({ service }: { service: Pick<SessionManagementService, 'recordSessionEvents'> }) =>
  endpoint({
    route,
    operation: 'session-events.ingest',
    bodyWithinMs: 30_000,
    maxBodyBytes: MAX_BODY_BYTES,
    handler: async (c) =>
      c.json({ results: await service.recordSessionEvents(c.req.valid('json'), c.get('tokenOrganizationId')) }, 200),
  });
