import { sql } from 'kysely';
import { type Database, row, rows, type Transaction } from '../../database.ts';
import type { RefreshChain } from '../../auth-module/auth-module.ts';
import { recordAudit, systemActor } from '../../service/record-audit.ts';
import { type Page, type TerminationWork, toPages } from './work.ts';

export interface Adopted {
  /** What must be invalidated now. */
  pages: Page[];
  chains: number;
}

/**
 * Takes the chains that the Auth Module says are alive in a termination's scope into its books: unknown sessions and
 * chains get rows, confirmed ones are pending again (and their termination runs again). Chains of kept sessions, and of
 * sessions that are known here to have begun after the cutoff, are left alone.
 */
export async function adoptChains(database: Database, work: TerminationWork, found: readonly RefreshChain[]): Promise<Adopted> {
  if (found.length === 0) return { pages: [], chains: 0 };
  return database.transaction(async (transaction) => {
    const alive = await mayBeKilled(transaction, work, found);
    if (alive.length === 0) return { pages: [], chains: 0 };
    await claimFound(transaction, work, alive);
    await reopen(transaction, work, alive.map((chain) => chain.chainId));
    // their sign-ins go along, confirmed or not: who has a living chain may be minting another
    const signIns = [...new Set(alive.map((chain) => chain.sessionId))].map((id) => ({ kind: 'session' as const, id }));
    return { pages: toPages([...signIns, ...alive.map((chain) => ({ kind: 'chain' as const, id: chain.chainId }))]), chains: alive.length };
  });
}

async function mayBeKilled(transaction: Transaction, work: TerminationWork, found: readonly RefreshChain[]): Promise<RefreshChain[]> {
  const kept = new Set(work.keptSessionIds);
  const sessionIds = [...new Set(found.map((chain) => chain.sessionId))];
  const timed = work.scopeKind === 'user' || work.scopeKind === 'organization';
  const later = timed
    ? await rows<{ id: string }>(
        transaction,
        sql`select id from sessions where organization_id = ${work.organizationId} and id = any (${sessionIds}::text[])
          and termination_id is null and fenced_from > ${work.cutoff}::timestamptz`,
      )
    : [];
  const untouched = new Set(later.map((session) => session.id));
  return found.filter((chain) => !kept.has(chain.sessionId) && !untouched.has(chain.sessionId));
}

/** Rows for what no event ever told of; sessions and chains without a termination become this one's. */
async function claimFound(transaction: Transaction, work: TerminationWork, alive: readonly RefreshChain[]): Promise<void> {
  await rows(
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
          ended_at = coalesce(s.ended_at, excluded.ended_at), end_reason = coalesce(s.end_reason, excluded.end_reason)
        where s.termination_id is null
        returning id
      )
      update terminations t set sessions_total = sessions_total + c.n, sessions_pending = sessions_pending + c.n
      from (select count(*)::int as n from claimed) c where t.id = ${work.id} and c.n > 0`,
  );
  await row(
    transaction,
    sql`with chains as (
        insert into refresh_token_chains as r (organization_id, id, session_id, recorded_at, termination_id, outcome)
        select ${work.organizationId}, c."chainId", c."sessionId", current_instant(), ${work.id}, 'pending'
        from jsonb_to_recordset(${JSON.stringify(alive)}::jsonb) as c("chainId" text, "sessionId" text)
        on conflict (organization_id, id) do update set termination_id = excluded.termination_id, outcome = 'pending' where r.termination_id is null
        returning id
      )
      update terminations t set chains_total = chains_total + c.n, chains_pending = chains_pending + c.n, sweep_finds = sweep_finds + c.n
      from (select count(*)::int as n from chains) c where t.id = ${work.id} and c.n > 0`,
  );
}

/** A chain that was confirmed dead and is alive: pending again, and its termination runs again until it is confirmed once more. */
async function reopen(transaction: Transaction, work: TerminationWork, chainIds: readonly string[]): Promise<void> {
  const reopened = await rows<{ id: string; organization_id: string; scope_kind: TerminationWork['scopeKind']; scope_id: string; chains: number; was_completed: boolean }>(
    transaction,
    sql`with back as (
        select id, termination_id, outcome from refresh_token_chains
        where organization_id = ${work.organizationId} and id = any (${[...chainIds]}::text[]) and outcome in ('invalidated', 'already-dead') for update
      ), again as (
        update refresh_token_chains r set outcome = 'pending', settled_at = null
        from back where r.organization_id = ${work.organizationId} and r.id = back.id
      ), counts as (
        select termination_id, count(*) filter (where outcome = 'invalidated')::int as confirmed, count(*) filter (where outcome = 'already-dead')::int as dead
        from back group by termination_id
      ), before as (select id, status from terminations where id in (select termination_id from counts) for update)
      update terminations t set chains_confirmed = chains_confirmed - c.confirmed, chains_already_dead = chains_already_dead - c.dead,
        chains_pending = chains_pending + c.confirmed + c.dead, resurfaced = resurfaced + c.confirmed + c.dead,
        status = 'running', completed_at = null, verified_at = null, revision = revision + (b.status = 'completed')::int, progress_at = current_instant(), dispatch_after = current_instant()
      from counts c, before b where t.id = c.termination_id and b.id = t.id
      returning t.id, t.organization_id, t.scope_kind, t.scope_id, c.confirmed + c.dead as chains, b.status = 'completed' as was_completed`,
  );
  await recordAudit(
    transaction,
    reopened
      .filter((t) => t.was_completed)
      .map((t) => ({
        organizationId: t.organization_id,
        action: 'termination.chain-resurfaced' as const,
        actor: systemActor,
        subject: { kind: t.scope_kind, id: t.scope_id },
        details: { terminationId: t.id, chains: t.chains },
      })),
  );
}
