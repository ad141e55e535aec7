import { sql } from 'kysely';
import { rows, type Transaction } from '../../database.ts';
import type { SessionEvent } from '../../rules/session-event.ts';
import { keyOf } from './stored-sessions.ts';

/** Which session each known chain of a batch belongs to. */
export async function readChains(
  transaction: Transaction,
  events: readonly SessionEvent[],
): Promise<Map<string, string>> {
  const wanted = events.flatMap((e) => (e.chainId === null ? [] : [{ o: e.organizationId, i: e.chainId }]));
  if (wanted.length === 0) return new Map();
  const known = await rows<{ organization_id: string; id: string; session_id: string }>(
    transaction,
    sql`select organization_id, id, session_id from refresh_token_chains
      where (organization_id, id) in (select o, i from jsonb_to_recordset(${JSON.stringify(wanted)}::jsonb) as w(o text, i text))`,
  );
  return new Map(known.map((chain) => [keyOf(chain.organization_id, chain.id), chain.session_id]));
}

/**
 * Adds chains that are not yet known. A chain is alive until the Auth Module confirmed it dead. Known ones are passed
 * over before the insert, whose conflict would wait for whoever writes an outcome on the chain: that one takes chains
 * before sessions, a batch takes sessions before chains, and each would wait for the other.
 */
export async function writeChains(transaction: Transaction, events: readonly SessionEvent[]): Promise<void> {
  const chains = events.flatMap((e) =>
    e.chainId === null ? [] : [{ o: e.organizationId, i: e.chainId, s: e.sessionId, u: e.userId }],
  );
  if (chains.length === 0) return;
  await rows(
    transaction,
    sql`insert into refresh_token_chains (organization_id, id, session_id, user_id, recorded_at)
      select distinct on (o, i) o, i, s, u, current_instant() from jsonb_to_recordset(${JSON.stringify(chains)}::jsonb) as c(o text, i text, s text, u text)
      where not exists (select from refresh_token_chains r where r.organization_id = c.o and r.id = c.i) order by o, i on conflict do nothing`,
  );
}
