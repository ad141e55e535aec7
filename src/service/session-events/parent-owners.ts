import { sql } from 'kysely';
import { rows, type Transaction } from '../../database.ts';
import type { SessionEvent, SessionRecord } from '../../rules/session-event.ts';
import { keyOf } from './stored-sessions.ts';

/** Whose the parents are that a batch names, where they have a row. */
export async function readParentOwners(
  transaction: Transaction,
  events: readonly SessionEvent[],
): Promise<ReadonlyMap<string, string>> {
  const named = events.flatMap(({ parentSession: p }) => (p === null ? [] : [{ o: p.organizationId, i: p.sessionId }]));
  if (named.length === 0) return new Map();
  const known = await rows<{ organization_id: string; id: string; user_id: string }>(
    transaction,
    sql`select organization_id, id, user_id from sessions
      where (organization_id, id) in (select o, i from jsonb_to_recordset(${JSON.stringify(named)}::jsonb) as p(o text, i text))`,
  );
  return new Map(known.map((session) => [keyOf(session.organization_id, session.id), session.user_id]));
}

/** Whether the event names as its parent a session that is known, by a row or by the batch itself, to be somebody else's. */
export function isAnothersParent(
  owners: ReadonlyMap<string, string>,
  batch: ReadonlyMap<string, SessionRecord>,
  { parentSession, userId }: SessionEvent,
): boolean {
  if (parentSession === null) return false;
  const key = keyOf(parentSession.organizationId, parentSession.sessionId);
  return (owners.get(key) ?? batch.get(key)?.userId ?? userId) !== userId;
}
