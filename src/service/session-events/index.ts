import { sql } from 'kysely';
import { type Database, rows, type Transaction } from '../../database.ts';
import { applySessionEvent, type SessionEvent, type SessionRecord } from '../../rules/session-event.ts';
import { learnLead, readSenderClock } from '../auth-module-clock.ts';
import type { SessionEventResult, SessionManagementService } from '../index.ts';
import { takeLocks, unknownEndName } from '../locks.ts';
import { judgeAfterCommit } from './judge-after-commit.ts';
import { endSupportSessionsOf } from './parent-ended.ts';
import { isAnothersParent, readParentOwners } from './parent-owners.ts';
import { eventIdOf, parseSessionEvent } from './parse-session-event.ts';
import { readChains, writeChains } from './stored-chains.ts';
import { keepShownEnds } from './shown-ends.ts';
import { ensureUsers, keyOf, lockSessions, writeSessions } from './stored-sessions.ts';
import { recordSupportSessions } from './record-support-sessions.ts';

export interface RecordSessionEventsOptions {
  database: Database;
  /** Where staff sign in: their sessions may be the parents of support sessions that a machine of one organization reports. */
  vendorOrganizations: readonly string[];
  /** Told how far the sender's clock differs: positive is ahead, for certain; negative is behind, or a late delivery. */
  onClockDifference?: (differenceMs: number) => void;
}

/** One event of a batch, with what became of it so far. */
export interface Pending {
  event: SessionEvent;
  result: SessionEventResult;
  /** Whether this event made its session's row. */
  created: boolean;
}

/**
 * Records what the Auth Module reports, at least once and in any order; one result an event, in order. A start is only
 * answered `accepted` after it was checked against fences, grants and its parent session *after its own commit*: a
 * decision that commits in between is seen by one or the other.
 */
export const createRecordSessionEvents =
  (options: RecordSessionEventsOptions): SessionManagementService['recordSessionEvents'] =>
  async ({ events, sentAt }, organizationId) => {
    const { database, vendorOrganizations, onClockDifference } = options;
    const clock =
      sentAt === undefined ? null : await readSenderClock(database, sentAt, organizationId, onClockDifference);
    const results = events.map((raw): SessionEventResult => ({
      eventId: eventIdOf(raw),
      outcome: 'rejected',
      reason: 'invalid',
    }));
    const maySay = speaksFor(organizationId, vendorOrganizations);
    const parsed = events.flatMap((raw, n): Pending[] => {
      const event = parseSessionEvent(raw, clock?.aheadMs ?? 0);
      const result = results[n];
      return event === null || result === undefined || !maySay(event) ? [] : [{ event, result, created: false }];
    });
    if (parsed.length > 0) {
      await store(database, parsed);
      await endSupportSessionsOf(database, signedOutBy(parsed));
      await judgeAfterCommit(database, parsed);
    }
    if (clock !== null && clock.provenMs !== null && results.some(({ outcome }) => outcome === 'accepted'))
      await learnLead(database, clock.provenMs, organizationId);
    return results;
  };

/** A machine of one organization tells of that one only, and names as parents its own sessions and the vendor's. */
const speaksFor =
  (organizationId: string | null, vendorOrganizations: readonly string[]) =>
  ({ organizationId: of, parentSession }: SessionEvent): boolean =>
    organizationId === null ||
    (of === organizationId &&
      (parentSession === null || [organizationId, ...vendorOrganizations].includes(parentSession.organizationId)));

/** Also of repeats: the first try may have died before their support sessions were ended. */
const signedOutBy = (batch: readonly Pending[]) =>
  batch.flatMap(({ event, result }) =>
    event.type === 'session.ended' && result.outcome !== 'rejected'
      ? [{ organizationId: event.organizationId, id: event.sessionId, userId: event.userId }]
      : [],
  );

const MEETINGS = 20;

/** Folds the batch over what is stored and writes it, in one transaction; again, where another made one of its sessions meanwhile. */
async function store(database: Database, batch: readonly Pending[]): Promise<void> {
  for (let meeting = 1; ; meeting++) {
    try {
      await database.transaction(async (transaction) => {
        if (!(await fold(transaction, batch))) throw new MetAnother();
      });
      return;
    } catch (error) {
      if (!(error instanceof MetAnother) || meeting === MEETINGS) throw error;
    }
  }
}
class MetAnother extends Error {}

async function fold(transaction: Transaction, batch: readonly Pending[]): Promise<boolean> {
  const events = batch.map((pending) => pending.event);
  await ensureUsers(transaction, events);
  const fresh = await markSeen(transaction, events);
  const stored = await keepShownEnds(transaction, events, await lockSessions(transaction, events));
  const chains = await readChains(transaction, events);
  const owners = await readParentOwners(transaction, events);
  const records = new Map<string, SessionRecord>(stored);
  const told: SessionEvent[] = [];
  for (const pending of batch) {
    const { event, result } = pending;
    const key = keyOf(event.organizationId, event.sessionId);
    const applied =
      belongsElsewhere(chains, event) || isAnothersParent(owners, records, event)
        ? { outcome: 'invalid' as const }
        : applySessionEvent(records.get(key) ?? null, event);
    if (applied.outcome === 'invalid') {
      Object.assign(result, { outcome: 'rejected', reason: 'invalid' });
      continue;
    }
    const isNew = fresh.delete(keyOf(event.organizationId, event.eventId));
    const newChain = event.chainId !== null && !chains.has(keyOf(event.organizationId, event.chainId));
    pending.created = !stored.has(key);
    Object.assign(result, {
      outcome: !isNew ? 'duplicate' : applied.outcome === 'stale' && newChain ? 'accepted' : applied.outcome,
      reason: undefined,
    });
    records.set(key, applied.record);
    if (event.chainId !== null) chains.set(keyOf(event.organizationId, event.chainId), event.sessionId);
    told.push(event);
  }
  return write(transaction, stored, records, told);
}

const belongsElsewhere = (chains: ReadonlyMap<string, string>, event: SessionEvent): boolean =>
  event.chainId !== null &&
  (chains.get(keyOf(event.organizationId, event.chainId)) ?? event.sessionId) !== event.sessionId;

/** Notes the events as seen; returns the keys of those that were not. */
async function markSeen(transaction: Transaction, events: readonly SessionEvent[]): Promise<Set<string>> {
  const seen = JSON.stringify(events.map((e) => ({ o: e.organizationId, i: e.eventId })));
  const fresh = await rows<{ organization_id: string; event_id: string }>(
    transaction,
    sql`insert into seen_session_events (organization_id, event_id, seen_at) select distinct on (o, i) o, i, current_instant()
      from jsonb_to_recordset(${seen}::jsonb) as e(o text, i text) order by o, i on conflict do nothing returning organization_id, event_id`,
  );
  return new Set(fresh.map((event) => keyOf(event.organization_id, event.event_id)));
}

async function write(
  transaction: Transaction,
  stored: ReadonlyMap<string, SessionRecord>,
  records: ReadonlyMap<string, SessionRecord>,
  told: readonly SessionEvent[],
): Promise<boolean> {
  const changed = [...records].filter(([key, record]) => stored.get(key) !== record);
  const created = changed.filter(([key]) => !stored.has(key)).map(([, record]) => record);
  const updated = changed.filter(([key]) => stored.has(key)).map(([, record]) => record);
  await lockUnknownEnds(transaction, created);
  if (!(await writeSessions(transaction, created, updated))) return false;
  await writeChains(transaction, told);
  const ended = changed
    .filter(([key, record]) => record.endedAt !== null && (stored.get(key)?.endedAt ?? null) === null)
    .map(([, record]) => record);
  const begunUnderGrant = changed
    .filter(([key]) => (stored.get(key)?.supportAccessGrantId ?? null) === null)
    .map(([, record]) => record);
  await recordSupportSessions(transaction, begunUnderGrant, ended);
  return true;
}

/** The end of a session that has no row yet is ordered against what its owner decides: there is no row to lock for that. */
const lockUnknownEnds = (transaction: Transaction, created: readonly SessionRecord[]): Promise<void> =>
  takeLocks(
    transaction,
    created
      .filter((record) => record.endedAt !== null)
      .map(({ organizationId }) => ({ name: unknownEndName(organizationId), shared: false })),
  );
