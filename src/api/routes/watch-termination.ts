import { createRoute, z } from '@hono/zod-openapi';
import type { TerminationView } from '../../rules/termination.ts';
import type { SessionManagementService } from '../../service/index.ts';
import { endpoint } from '../endpoint.ts';
import { orgAndId } from '../route-parts.ts';
import { eventStream } from '../server-sent-events.ts';
import { guardStream, streamBody } from '../stream-guard.ts';

const route = createRoute({
  method: 'get',
  path: '/v1/organizations/{org}/terminations/{id}/events',
  operationId: 'watchTermination',
  summary: 'A termination and its changes, until it is verified',
  description:
    'Server-sent events: `event: termination`, the resource as data. Closes after `verifiedAt` is set, and when the caller’s right is gone.',
  tags: ['terminations'],
  request: {
    params: orgAndId,
    headers: z.object({
      'Last-Event-ID': z
        .string()
        .optional()
        .openapi({ description: 'The `id` of the last event that was seen; that state is not sent again.' }),
    }),
  },
  responses: { 200: { description: 'The stream.', content: { 'text/event-stream': { schema: z.string() } } } },
});

interface Dependencies {
  service: Pick<SessionManagementService, 'watchTermination'>;
  draining: AbortSignal;
}

const isVerified = (termination: TerminationView): boolean => termination.verifiedAt !== null;

export const watchTermination = ({ service, draining }: Dependencies) =>
  endpoint({
    route,
    operation: 'terminations.read',
    handler: async (c) => {
      const guard = guardStream(c, draining);
      const states = service.watchTermination(c.req.valid('param').id, c.get('admin'), guard.signal);
      const text = eventStream(states, {
        event: 'termination',
        isLast: isVerified,
        lastEventId: c.req.header('last-event-id'),
        signal: guard.signal,
      });
      const headers = { 'Content-Type': 'text/event-stream; charset=utf-8', 'X-Accel-Buffering': 'no' };
      return c.body(await streamBody(c, text, guard), 200, headers);
    },
  });
