import type pg from 'pg';
import type { Clock } from '../clock.ts';
import { inTransaction } from '../transaction.ts';

export type EndReason = 'signed-out' | 'refused' | 'unanswered';

/**
 * Ends sign-ins together with the `session.ended` event of each. Returns the ids that this call ended.
 *
 * No code and no chain comes of them any more. Chains that exist live on: signing out is not for offline access.
 */
export async function endSessionsAndTell(
  { pool, clock }: { pool: pg.Pool; clock: Clock },
  sessionIds: readonly string[],
  reason: EndReason,
): Promise<string[]> {
  return inTransaction(pool, async (client) => {
    const { rows } = await client.query<{ session_id: string }>(
      `with ${ended} insert into auth_outbox (type, session_id, occurred_at) select 'session.ended', session_id, $3 from ended
       returning session_id`,
      [sessionIds, reason, clock.now()],
    );
    const endedIds = rows.map((row) => row.session_id);
    await closeChains(client, endedIds);
    return endedIds;
  });
}

/** Ends sign-ins of which the Session Management Service knows already, with every chain of theirs. Nothing is sent. */
export async function endRejectedSessions(
  client: pg.PoolClient | pg.Pool,
  sessionIds: readonly string[],
): Promise<void> {
  await client.query(`with ${ended} select count(*) from ended`, [sessionIds, 'rejected']);
  await client.query(
    `with doomed as (select chain_id from auth_chains where session_id = any($1) and dead_at is null
       order by chain_id for no key update)
     update auth_chains c set dead_at = clock_timestamp(), dead_reason = 'rejected', closed_at = coalesce(closed_at, clock_timestamp())
     from doomed where c.chain_id = doomed.chain_id`,
    [sessionIds],
  );
}

// A statement of its own, after the sessions are locked: it sees also a chain that was being made meanwhile.
async function closeChains(client: pg.PoolClient, sessionIds: readonly string[]): Promise<void> {
  await client.query(
    `with open as (select chain_id from auth_chains where session_id = any($1) and closed_at is null
       order by chain_id for no key update)
     update auth_chains c set closed_at = clock_timestamp() from open where c.chain_id = open.chain_id`,
    [sessionIds],
  );
}

// Rows are locked in the order of their ids, here and wherever several are: two of these at once never deadlock.
const ended = `asked as (select session_id from auth_sessions where session_id = any($1) and ended_at is null
    order by session_id for no key update),
  ended as (update auth_sessions s set ended_at = clock_timestamp(), end_reason = $2 from asked
    where s.session_id = asked.session_id returning s.session_id)`;
