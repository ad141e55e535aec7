/** What a session event changes, as a pure function of (record, event). Instants are milliseconds since the epoch. */
import type { SessionEndReason } from './session.ts';

export const sessionEventTypes = ['session.started', 'session.refreshed', 'chain.started', 'session.ended'] as const;
export type SessionEventType = (typeof sessionEventTypes)[number];

export interface SessionEvent {
  eventId: string;
  type: SessionEventType;
  occurredAt: number;
  organizationId: string;
  userId: string;
  sessionId: string;
  startedAt: number;
  chainId: string | null;
  expiresAt: number | null;
  ipAddress: string | null;
  userAgent: string | null;
  client: string | null;
  authenticationMethods: readonly string[] | null;
  supportAccessGrantId: string | null;
  parentSession: { organizationId: string; sessionId: string } | null;
}

export interface SessionRecord {
  organizationId: string;
  id: string;
  userId: string;
  startedAt: number;
  lastSeenAt: number;
  expiresAt: number | null;
  endedAt: number | null;
  endReason: SessionEndReason | null;
  ipAddress: string | null;
  userAgent: string | null;
  client: string | null;
  authenticationMethods: readonly string[];
  supportAccessGrantId: string | null;
  parentOrganizationId: string | null;
  parentSessionId: string | null;
}

export type Applied = { record: SessionRecord; outcome: 'accepted' | 'stale' } | { outcome: 'invalid' };

/**
 * Any event may come first and creates the record; of two starts that differ the earlier wins, of two expiries the
 * later. `stale`: it told nothing new. `invalid`: it contradicts what the session is. Whether the session may live at
 * all (fences, grants, parent) is not asked here.
 */
export function applySessionEvent(record: SessionRecord | null, event: SessionEvent): Applied {
  if (record !== null && (record.userId !== event.userId || contradictsGrant(record, event))) return { outcome: 'invalid' };
  if (event.type === 'chain.started' && event.chainId === null) return { outcome: 'invalid' };
  const before = record ?? firstHeardOf(event);
  const after = event.type === 'session.ended' ? signedOut(before, event) : heardOf(before, event);
  return { record: after, outcome: record !== null && sameRecord(before, after) ? 'stale' : 'accepted' };
}

const contradictsGrant = (record: SessionRecord, event: SessionEvent): boolean =>
  event.supportAccessGrantId !== null && record.supportAccessGrantId !== null && record.supportAccessGrantId !== event.supportAccessGrantId;

const firstHeardOf = (event: SessionEvent): SessionRecord => ({
  organizationId: event.organizationId,
  id: event.sessionId,
  userId: event.userId,
  startedAt: event.startedAt,
  lastSeenAt: event.startedAt,
  expiresAt: null,
  endedAt: null,
  endReason: null,
  ipAddress: null,
  userAgent: null,
  client: null,
  authenticationMethods: [],
  supportAccessGrantId: null,
  parentOrganizationId: null,
  parentSessionId: null,
});

/** Details of a later activity replace those of an earlier one; those of an earlier one only fill gaps. */
function heardOf(record: SessionRecord, event: SessionEvent): SessionRecord {
  const newer = event.occurredAt >= record.lastSeenAt;
  const pick = <T>(told: T | null, known: T | null): T | null => (newer ? (told ?? known) : (known ?? told));
  return {
    ...record,
    startedAt: Math.min(record.startedAt, event.startedAt),
    lastSeenAt: Math.max(record.lastSeenAt, event.occurredAt),
    expiresAt: record.expiresAt === null ? event.expiresAt : Math.max(record.expiresAt, event.expiresAt ?? 0),
    ipAddress: pick(event.ipAddress, record.ipAddress),
    userAgent: pick(event.userAgent, record.userAgent),
    client: pick(event.client, record.client),
    authenticationMethods: pick(event.authenticationMethods, record.authenticationMethods.length > 0 ? record.authenticationMethods : null) ?? [],
    supportAccessGrantId: record.supportAccessGrantId ?? event.supportAccessGrantId,
    parentOrganizationId: record.parentOrganizationId ?? event.parentSession?.organizationId ?? null,
    parentSessionId: record.parentSessionId ?? event.parentSession?.sessionId ?? null,
  };
}

/** A sign-out leaves a tombstone, also where it comes first; it says nothing of the chains. */
function signedOut(record: SessionRecord, event: SessionEvent): SessionRecord {
  const heard = { ...heardOf(record, event), lastSeenAt: record.lastSeenAt };
  return record.endedAt === null ? { ...heard, endedAt: event.occurredAt, endReason: 'signed-out' } : heard;
}

const sameRecord = (a: SessionRecord, b: SessionRecord): boolean =>
  (Object.keys(a) as (keyof SessionRecord)[]).every((key) => (key === 'authenticationMethods' ? String(a[key]) === String(b[key]) : a[key] === b[key]));
