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

/** Longest life of a grant from its creation, however often its end is moved. */
export const grantLongestLifeDays = 90;

export interface ExpiryBounds {
  min: string;
  max: string;
}
export interface GrantLimits {
  minSeconds: number;
  maxSeconds: number;
}

const instant = (ms: number): string => new Date(ms).toISOString();

/** Between which instants a new grant may end, both included. */
export const createBounds = (nowMs: number, { minSeconds, maxSeconds }: GrantLimits): ExpiryBounds => ({
  min: instant(nowMs + minSeconds * 1_000),
  max: instant(nowMs + maxSeconds * 1_000),
});

/** Where the end of a live grant may be moved, both included: into the future, by no more than a new grant could get. */
export const changeBounds = (nowMs: number, createdAtMs: number, { maxSeconds }: GrantLimits): ExpiryBounds => ({
  min: instant(nowMs + 1),
  max: instant(Math.min(nowMs + maxSeconds * 1_000, createdAtMs + grantLongestLifeDays * 86_400_000)),
});

/** Instants in one form (RFC 3339 UTC, milliseconds, four-digit year) compare as text. */
export const isWithin = (at: string, { min, max }: ExpiryBounds): boolean => min <= at && at <= max;

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
