import type { Actor } from './termination.ts';

export const grantStatuses = ['active', 'ending', 'ended'] as const;
export type GrantStatus = (typeof grantStatuses)[number];

/** When both come at once, `revoked` wins. */
export const grantEndReasons = ['revoked', 'expired'] as const;
export type GrantEndReason = (typeof grantEndReasons)[number];

/** A support access grant as the interface shows it. `userId` null: any Global Admin. */
export interface GrantView {
  id: string;
  organizationId: string;
  userId: string | null;
  status: GrantStatus;
  endReason: GrantEndReason | null;
  reason: string | null;
  createdBy: Actor;
  createdAt: string;
  startsAt: string;
  expiresAt: string;
  revision: number;
  accessEndedAt: string | null;
  sessionsClearedAt: string | null;
  endedBy: Actor | null;
  stalled: boolean;
  sessions: { total: number; cleared: number };
}

/** The Organization Settings flag "Allow support access until {date}". */
export interface SupportAccessFlag {
  allowed: boolean;
  allowUntil: string | null;
  timeZone: string | null;
  grantId: string | null;
  liveGrants: number;
}

export const checkReasons = ['granted', 'not-eligible', 'no-grant', 'expired', 'revoked', 'session-ended'] as const;
export type CheckReason = (typeof checkReasons)[number];

/** The answer to a gateway: may this person act in this organization now? Callers deny on any error. */
export interface SupportAccessDecision {
  decision: 'allow' | 'deny';
  reason: CheckReason;
  grantId: string | null;
  notAfter: string | null;
  maxAgeSeconds: number;
}
