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

/** What an event may tell of where a session is used; each is known apart from the others, with when it was told. */
const details = ['ipAddress', 'userAgent', 'client', 'authenticationMethods'] as const;
type Detail = (typeof details)[number];

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
  /** When each detail that was ever told was told last. */
  toldAt: Partial<Record<Detail, number>>;
  supportAccessGrantId: string | null;
  parentOrganizationId: string | null;
  parentSessionId: string | null;
}

export type Applied = { record: SessionRecord; outcome: 'accepted' | 'stale' } | { outcome: 'invalid' };

/**
 * Any event may come first and creates the record; of two starts or two ends that differ the earlier wins, of two
 * expiries the later. Whatever the order and however often they come, the same events make the same record. `stale`: it told nothing new. `invalid`: it contradicts what the session is. Whether the session may live at
 * all (fences, grants, parent) is not asked here.
 */
export function applySessionEvent(record: SessionRecord | null, event: SessionEvent): Applied {
  if (
    record !== null &&
    (record.userId !== event.userId || contradictsGrant(record, event) || contradictsParent(record, event))
  )
    return { outcome: 'invalid' };
  if (event.type === 'chain.started' && event.chainId === null) return { outcome: 'invalid' };
  const before = record ?? firstHeardOf(event);
  const after = event.type === 'session.ended' ? signedOut(before, event) : heardOf(before, event);
  return { record: after, outcome: record !== null && sameRecord(before, after) ? 'stale' : 'accepted' };
}

const contradictsGrant = (record: SessionRecord, event: SessionEvent): boolean =>
  event.supportAccessGrantId !== null &&
  record.supportAccessGrantId !== null &&
  record.supportAccessGrantId !== event.supportAccessGrantId;

const contradictsParent = (record: SessionRecord, { parentSession }: SessionEvent): boolean =>
  parentSession !== null &&
  record.parentSessionId !== null &&
  (record.parentOrganizationId !== parentSession.organizationId || record.parentSessionId !== parentSession.sessionId);

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
  toldAt: {},
  supportAccessGrantId: null,
  parentOrganizationId: null,
  parentSessionId: null,
});

function heardOf(record: SessionRecord, event: SessionEvent): SessionRecord {
  return {
    ...record,
    ...detailsOf(record, event),
    startedAt: Math.min(record.startedAt, event.startedAt),
    // a sign-out is no activity
    lastSeenAt: Math.max(record.lastSeenAt, event.startedAt, event.type === 'session.ended' ? 0 : event.occurredAt),
    expiresAt: record.expiresAt === null ? event.expiresAt : Math.max(record.expiresAt, event.expiresAt ?? 0),
    supportAccessGrantId: record.supportAccessGrantId ?? event.supportAccessGrantId,
    parentOrganizationId: record.parentOrganizationId ?? event.parentSession?.organizationId ?? null,
    parentSessionId: record.parentSessionId ?? event.parentSession?.sessionId ?? null,
  };
}

/** Each detail is the one told last; of two told in the same millisecond the greater, so that the order of arrival never decides. */
function detailsOf(record: SessionRecord, event: SessionEvent): Pick<SessionRecord, Detail | 'toldAt'> {
  const toldAt = { ...record.toldAt };
  const pick = <T>(detail: Detail, told: T | null, known: T): T => {
    const knownAt = record.toldAt[detail] ?? -Infinity;
    const isLater =
      event.occurredAt > knownAt || (event.occurredAt === knownAt && JSON.stringify(told) > JSON.stringify(known));
    if (told === null || !isLater) return known;
    toldAt[detail] = event.occurredAt;
    return told;
  };
  return {
    ipAddress: pick('ipAddress', event.ipAddress, record.ipAddress),
    userAgent: pick('userAgent', event.userAgent, record.userAgent),
    client: pick('client', event.client, record.client),
    authenticationMethods: pick('authenticationMethods', event.authenticationMethods, record.authenticationMethods),
    toldAt,
  };
}

/** A sign-out leaves a tombstone, also where it comes first; it says nothing of the chains. */
function signedOut(record: SessionRecord, event: SessionEvent): SessionRecord {
  const heard = heardOf(record, event);
  if (record.endedAt === null) return { ...heard, endedAt: event.occurredAt, endReason: 'signed-out' };
  return record.endReason === 'signed-out' ? { ...heard, endedAt: Math.min(record.endedAt, event.occurredAt) } : heard;
}

function sameRecord(a: SessionRecord, b: SessionRecord): boolean {
  const { toldAt: toldA, authenticationMethods: methodsA, ...restA } = a;
  const { toldAt: toldB, authenticationMethods: methodsB, ...restB } = b;
  return (
    Object.entries(restA).every(([key, value]) => value === Reflect.get(restB, key)) &&
    details.every((detail) => toldA[detail] === toldB[detail]) &&
    JSON.stringify(methodsA) === JSON.stringify(methodsB)
  );
}
