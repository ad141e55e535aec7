import type pg from 'pg';
import { inTransaction } from '../transaction.ts';

export interface Invalidation {
  organizationId: string;
  sessionIds: string[];
  chainIds: string[];
}

/** `already-dead` also for what is unknown, or another organization's: it is not touched, and not told apart. */
export type Outcome = 'invalidated' | 'already-dead';

/**
 * Ends these sign-ins and kills these chains, all in one transaction; repeating it is harmless.
 *
 * From the commit on no refresh or code of these chains succeeds and none that was under way leaves a token that does:
 * storing a token holds a share lock on its chain, so it comes either before the kill, which then covers it, or after,
 * and is refused. A sign-in that is ended gets no new code and no new chain; its chains die by their own ids.
 */
export async function invalidateChains(pool: pg.Pool, { organizationId, sessionIds, chainIds }: Invalidation) {
  const [sessions, chains] = await inTransaction(pool, async (client) => [
    await endSessions(client, organizationId, sessionIds),
    // a statement of its own: it also sees a chain that was being made while the sessions were waited for
    await killChains(client, organizationId, sessionIds, chainIds),
  ]);
  return {
    chains: chainIds.map((chainId) => ({ chainId, outcome: outcome(chains, chainId) })),
    sessions: sessionIds.map((sessionId) => ({ sessionId, outcome: outcome(sessions, sessionId) })),
  };
}

function outcome(done: Set<string>, id: string): Outcome {
  return done.has(id) ? 'invalidated' : 'already-dead';
}

// Everywhere sessions are locked before chains and each in the order of their ids: no two of these deadlock.
async function endSessions(client: pg.PoolClient, organizationId: string, ids: string[]): Promise<Set<string>> {
  const { rows } = await client.query<{ id: string }>(
    `with asked as (select session_id from auth_sessions
       where session_id = any($1) and organization_id = $2 and ended_at is null order by session_id for no key update)
     update auth_sessions s set ended_at = clock_timestamp(), end_reason = 'terminated' from asked
     where s.session_id = asked.session_id returning s.session_id as id`,
    [ids, organizationId],
  );
  return new Set(rows.map((row) => row.id));
}

async function killChains(
  client: pg.PoolClient,
  organizationId: string,
  sessionIds: string[],
  chainIds: string[],
): Promise<Set<string>> {
  const { rows } = await client.query<{ id: string; killed: boolean }>(
    `with asked as (select chain_id, chain_id = any($1) as dies from auth_chains
       where organization_id = $3 and dead_at is null
         and (chain_id = any($1) or (session_id = any($2) and closed_at is null)) order by chain_id for no key update)
     update auth_chains c set closed_at = coalesce(c.closed_at, clock_timestamp()),
       dead_at = case when dies then clock_timestamp() end, dead_reason = case when dies then 'terminated' end
     from asked where c.chain_id = asked.chain_id returning c.chain_id as id, dies as killed`,
    [chainIds, sessionIds, organizationId],
  );
  return new Set(rows.flatMap((row) => (row.killed ? [row.id] : [])));
}
