import { randomUUID } from 'node:crypto';
import { call, eventually, tokens } from './client.ts';
import type { Stack } from './stack.ts';

export interface EventSketch {
  organizationId: string;
  userId: string;
  sessionId: string;
  eventId?: string;
  occurredAt?: string;
  startedAt?: string;
  chainId?: string;
  expiresAt?: string;
  ipAddress?: string;
  userAgent?: string;
  client?: string;
  authenticationMethods?: string[];
  supportAccessGrantId?: string;
  parentSession?: { organizationId: string; sessionId: string };
}
export interface EventResult {
  eventId: string;
  outcome: 'accepted' | 'duplicate' | 'stale' | 'rejected';
  reason?: string;
}

/** A session event; it happened now unless the sketch says otherwise. */
export const event = (type: string, sketch: EventSketch) => {
  const occurredAt = sketch.occurredAt ?? sketch.startedAt ?? new Date().toISOString();
  return { eventId: randomUUID(), type, startedAt: occurredAt, ...sketch, occurredAt };
};
export const started = (sketch: EventSketch) => event('session.started', sketch);

/** Reports events as the Auth Module does; returns their results in order. */
export async function report(stack: Stack, events: readonly unknown[], extra: object = {}): Promise<EventResult[]> {
  const token = await tokens(stack.issuer).machine('sessions:ingest');
  const send = () =>
    call<{ results: EventResult[] }>(stack, 'POST', '/v1/session-events', {
      token,
      body: { events, ...extra },
    });
  // as an Auth Module does: 503 is asked again
  const answer = await eventually(send, ({ status }) => status !== 503);
  if (answer.status !== 200) throw new Error(`${answer.status}: ${answer.text}`);
  return answer.body.results;
}
