import type { AuthSession } from '../sign-in/auth-session.ts';

export type SessionEventType = 'session.started' | 'session.refreshed' | 'chain.started' | 'session.ended';

export interface SessionEvent {
  eventId: string;
  type: SessionEventType;
  occurredAt: string;
  organizationId: string;
  userId: string;
  sessionId: string;
  startedAt: string;
  expiresAt: string;
  authenticationMethods: string[];
  chainId?: string;
  ipAddress?: string;
  userAgent?: string;
  client?: string;
  supportAccessGrantId?: string;
  parentSession?: { organizationId: string; sessionId: string };
}

export interface Occurrence {
  eventId: string;
  type: SessionEventType;
  occurredAt: Date;
  chainId: string | null;
}

/** Every event says all that is known of its session: whichever arrives first is enough to make the row. */
export function sessionEvent(occurrence: Occurrence, session: AuthSession): SessionEvent {
  return {
    eventId: occurrence.eventId,
    type: occurrence.type,
    occurredAt: occurrence.occurredAt.toISOString(),
    organizationId: session.organizationId,
    userId: session.userId,
    sessionId: session.sessionId,
    startedAt: session.startedAt.toISOString(),
    expiresAt: session.expiresAt.toISOString(),
    authenticationMethods: ['demo'],
    ...(occurrence.chainId !== null && { chainId: occurrence.chainId }),
    ...(session.ipAddress !== null && { ipAddress: session.ipAddress }),
    ...(session.userAgent !== null && { userAgent: session.userAgent }),
    ...(session.client !== null && { client: session.client }),
    ...(session.supportAccessGrantId !== null && { supportAccessGrantId: session.supportAccessGrantId }),
    // a support start, and no other event, names the staff member's own session
    ...(session.parentSession !== null &&
      occurrence.type === 'session.started' && { parentSession: session.parentSession }),
  };
}
