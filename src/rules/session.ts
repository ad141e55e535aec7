/** States of a session, as they are shown. `ended` wins over `expired`. */
export const sessionStatuses = ['active', 'ended', 'expired'] as const;
export type SessionStatus = (typeof sessionStatuses)[number];

/** Why a session is over. `expired` is never stored: it is read by the clock. */
export const sessionEndReasons = ['terminated', 'signed-out', 'expired', 'support-access-ended', 'rejected'] as const;
export type SessionEndReason = (typeof sessionEndReasons)[number];

/** What the Auth Module answered for a sign-in or chain that was to be killed; `pending` until it confirmed. */
export const invalidationOutcomes = ['pending', 'invalidated', 'already-dead'] as const;
export type InvalidationOutcome = (typeof invalidationOutcomes)[number];

/** A session as the interface shows it. Instants are RFC 3339 UTC with milliseconds. */
export interface SessionView {
  id: string;
  userId: string;
  organizationId: string;
  status: SessionStatus;
  startedAt: string;
  lastSeenAt: string;
  expiresAt: string | null;
  endedAt: string | null;
  endReason: SessionEndReason | null;
  ipAddress: string | null;
  userAgent: string | null;
  client: string | null;
  authenticationMethods: string[];
  /** Whether this is the caller's own session. */
  current: boolean;
  supportAccessGrantId: string | null;
  terminationId: string | null;
  refreshTokenChains: { alive: number; dead: number };
}
