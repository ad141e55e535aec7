import { randomUUID } from 'node:crypto';
import type { Service } from './service.ts';
import { EventResults } from './shapes.ts';

/** A session event, as the Auth Module sends it. */
export interface Event {
  eventId: string;
  type: 'session.started' | 'session.refreshed' | 'chain.started' | 'session.ended';
  occurredAt: string;
  organizationId: string;
  userId: string;
  sessionId: string;
  startedAt: string;
  chainId?: string;
  expiresAt?: string;
  ipAddress?: string;
  userAgent?: string;
  client?: string;
  authenticationMethods?: string[];
  supportAccessGrantId?: string;
  parentSession?: { organizationId: string; sessionId: string };
}

export type EventResult = EventResults['results'][number];

/** Fills in what every event has. */
export const event = (fields: Partial<Event>): Partial<Event> => ({
  eventId: randomUUID(),
  occurredAt: fields.startedAt ?? new Date().toISOString(),
  ...fields,
});

/** Sends them in one call, which must be answered as documented: one result for each, in the same order. */
export async function record(
  service: Service,
  token: string,
  given: Partial<Event>[],
  more: object = {},
): Promise<EventResult[]> {
  const events = given.map(event);
  const answer = await service.api.send('POST', '/v1/session-events', { as: token, body: { events, ...more } });
  const { results } = answer.as(200, EventResults);
  const ids = (list: { eventId?: string }[]) => list.map(({ eventId }) => eventId);
  if (JSON.stringify(ids(results)) !== JSON.stringify(ids(events)))
    throw new Error(`not one result for each event, in their order: ${answer.text}`);
  return results;
}
