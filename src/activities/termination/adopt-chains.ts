import { sql } from 'kysely';
import { type Database, rows, type Transaction } from '../../database.ts';
import type { RefreshChain } from '../../auth-module/auth-module.ts';
import { endedByTermination } from '../../service/ended-by.ts';
import { toInstant } from '../../service/instants.ts';
import { auditResurfaced, reopen, type Resurfaced, resurfacedColumns, runsAgain } from './resurfaced.ts';
import { coveredBy, type Page, type TerminationWork, toPages } from './work.ts';

export interface Adopted {
  /** What must be invalidated now. */
  pages: Page[];
  chains: number;
  /** Of these, chains that were in nobody's books. */
  unknown: number;
  /** Of these, chains that had been confirmed dead. */
  resurfaced: number;
}

const nothing: Adopted = { pages: [], chains: 0, unknown: 0, resurfaced: 0 };
const chainsOf = (resurfaced: readonly Resurfaced[]): number => resurfaced.reduce((sum, t) => sum + t.chains, 0);

/**
 * Takes the chains that the Auth Module says are alive in a termination's scope into its books: unknown sessions and
 * chains get rows, confirmed ones are pending again (and their termination runs again). Chains of kept sessions, of
 * sessions that are known here and that the fence does not cover, and of unknown ones from after its reach are left
 * alone. `askedAt` is when the Auth Module was asked, by `work.now`: what another termination had killed since then was
 * alive when it was seen, and has not come back.
 */
export async function adoptChains(
  database: Database,
  work: TerminationWork,
  found: readonly RefreshChain[],
  askedAt: number,
): Promise<Adopted> {
  if (found.length === 0) return nothing;
  return database.transaction(async (transaction) => {
    const alive = await mayBeKilled(transaction, work, found);
    if (alive.length === 0) return nothing;
    const claimed = await claimFound(transaction, work, alive);
    const reopened = await reopen(
      transaction,
      work,
      alive.map((chain) => chain.chainId),
      askedAt,
    );
    await auditResurfaced(transaction, [...claimed, ...reopened]);
    // their sign-ins go along, confirmed or not: who has a living chain may be minting another
    const signIns = [...new Set(alive.map((chain) => chain.sessionId))].map((id) => ({ kind: 'session' as const, id }));
    return {
      pages: toPages([...signIns, ...alive.map((chain) => ({ kind: 'chain' as const, id: chain.chainId }))]),
      chains: alive.length,
      unknown: chainsOf(claimed),
      resurfaced: chainsOf(reopened),
    };
  });
}

async function mayBeKilled(
  transaction: Transaction,
  work: TerminationWork,
  found: readonly RefreshChain[],
): Promise<RefreshChain[]> {
  const kept = new Set(work.keptSessionIds);
  const sessionIds = [...new Set(found.map((chain) => chain.sessionId))];
  if (work.scopeKind !== 'user' && work.scopeKind !== 'organization')
    return found.filter((chain) => !kept.has(chain.sessionId));
  const known = await rows<{ id: string; is_free: boolean }>(
    transaction,
    sql`select id, termination_id is null and not ${coveredBy(work)} as is_free
      from sessions s where organization_id = ${work.organizationId} and id = any (${sessionIds}::text[])`,
  );
  const isFree = new Map(known.map((session) => [session.id, session.is_free]));
  const isLater = ({ sessionStartedAt }: RefreshChain) =>
    Date.parse(sessionStartedAt) > Date.parse(toInstant(work.reach)) + work.clockAheadMs;
  return found.filter((chain) => !kept.has(chain.sessionId) && !(isFree.get(chain.sessionId) ?? isLater(chain)));
}

/** Rows for what no event ever told of; sessions and chains without a termination become this one's, which then runs again. */
async function claimFound(
  transaction: Transaction,
  work: TerminationWork,
  alive: readonly RefreshChain[],
): Promise<Resurfaced[]> {
  const withSessions = await rows<Resurfaced>(
    transaction,
    sql`with found as (
        select distinct on (c."sessionId") c."sessionId" as id, c."userId" as user_id, c."sessionStartedAt"::timestamptz as started_at, c."supportAccessGrantId" as grant_id
        from jsonb_to_recordset(${JSON.stringify(alive)}::jsonb) as c("sessionId" text, "userId" text, "sessionStartedAt" text, "supportAccessGrantId" uuid)
      ), users as (
        insert into users (organization_id, id) select distinct ${work.organizationId}, user_id from found on conflict do nothing
      ), claimed as (
        insert into sessions as s (organization_id, id, user_id, started_at, recorded_at, last_seen_at, ended_at, end_reason, termination_id, sign_in_outcome, support_access_grant_id)
        select ${work.organizationId}, id, user_id, started_at, current_instant(), started_at, current_instant(), 'terminated', ${work.id}, 'pending', grant_id from found
        on conflict (organization_id, id) do update set termination_id = excluded.termination_id, sign_in_outcome = 'pending',
          ${endedByTermination(work.id)}
        where s.termination_id is null
        returning id
      )
      update terminations t set sessions_total = sessions_total + c.n, sessions_pending = sessions_pending + c.n, ${runsAgain}
      from (select count(*)::int as n from claimed) c where t.id = ${work.id} and c.n > 0
      returning ${resurfacedColumns}, 0 as chains`,
  );
  const withChains = await rows<Resurfaced>(
    transaction,
    sql`with chains as (
        insert into refresh_token_chains as r (organization_id, id, session_id, user_id, recorded_at, termination_id, outcome)
        select ${work.organizationId}, c."chainId", c."sessionId", c."userId", current_instant(), ${work.id}, 'pending'
        from jsonb_to_recordset(${JSON.stringify(alive)}::jsonb) as c("chainId" text, "sessionId" text, "userId" text)
        on conflict (organization_id, id) do update set termination_id = excluded.termination_id, outcome = 'pending' where r.termination_id is null
        returning id
      )
      update terminations t set chains_total = chains_total + c.n, chains_pending = chains_pending + c.n, sweep_finds = sweep_finds + c.n, ${runsAgain}
      from (select count(*)::int as n from chains) c where t.id = ${work.id} and c.n > 0
      returning ${resurfacedColumns}, c.n as chains`,
  );
  return [...withSessions, ...withChains];
}
