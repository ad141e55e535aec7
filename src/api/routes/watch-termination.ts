import { createRoute, z } from '@hono/zod-openapi';
import type { TerminationView } from '../../rules/termination.ts';
import type { SessionManagementService } from '../../service/index.ts';
import { endpoint } from '../endpoint.ts';
import type { OpenStream } from '../open-stream.ts';
import { orgAndId } from '../route-parts.ts';
import { eventStream } from '../server-sent-events.ts';

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
  // no schema: tools differ in whether it would be the stream's or each event's
  responses: { 200: { description: 'The stream.', content: { 'text/event-stream': { schema: z.unknown() } } } },
});

interface Dependencies {
  service: Pick<SessionManagementService, 'watchTermination'>;
  openStream: OpenStream;
  draining: AbortSignal;
}

const isVerified = (termination: TerminationView): boolean => termination.verifiedAt !== null;

export const watchTermination = ({ service, openStream, draining }: Dependencies) =>
  endpoint({
    route,
    operation: 'terminations.read',
    refusals: ['rate-limited'],
    handler: async (c) => {
      const { id } = c.req.valid('param');
      const lastEventId = c.req.header('last-event-id');
      const stream = await openStream(c, (signal) =>
        eventStream(service.watchTermination(id, c.get('admin'), signal), {
          event: 'termination',
          isLast: isVerified,
          lastEventId,
          signal,
          draining,
        }),
      );
      return c.body(stream, 200, { 'Content-Type': 'text/event-stream; charset=utf-8', 'X-Accel-Buffering': 'no' });
    },
  });
