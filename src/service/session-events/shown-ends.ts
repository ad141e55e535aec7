import { sql } from 'kysely';
import { rows, type Transaction } from '../../database.ts';
import type { SessionEvent, SessionRecord } from '../../rules/session-event.ts';
import type { SessionEndReason } from '../../rules/session.ts';
import { keyOf } from './stored-sessions.ts';

interface ShownEnd {
  organization_id: string;
  id: string;
  over_ms: string;
  over_reason: SessionEndReason;
}

/**
 * The stored sessions of a batch; those that sign out and are over already, by a fence, their grant or their parent, with
 * that end: a sign-out that comes after it does not become the reason, nor move the instant, that every read has shown.
 */
export async function keepShownEnds(
  transaction: Transaction,
  events: readonly SessionEvent[],
  stored: ReadonlyMap<string, SessionRecord>,
): Promise<Map<string, SessionRecord>> {
  const kept = new Map(stored);
  const signingOut = events.filter(
    (e) => e.type === 'session.ended' && stored.get(keyOf(e.organizationId, e.sessionId))?.endedAt === null,
  );
  if (signingOut.length === 0) return kept;
  const wanted = JSON.stringify(signingOut.map((e) => ({ o: e.organizationId, i: e.sessionId })));
  const over = await rows<ShownEnd>(
    transaction,
    sql`select organization_id, id, (extract(epoch from over_at) * 1000)::bigint as over_ms, over_reason from session_states
      where (organization_id, id) in (select o, i from jsonb_to_recordset(${wanted}::jsonb) as w(o text, i text)) and over_at is not null`,
  );
  for (const { organization_id, id, over_ms, over_reason } of over) {
    const key = keyOf(organization_id, id);
    const record = kept.get(key);
    if (record !== undefined) kept.set(key, { ...record, endedAt: Number(over_ms), endReason: over_reason });
  }
  return kept;
}
