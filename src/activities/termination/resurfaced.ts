import { sql } from 'kysely';
import { rows, type Transaction } from '../../database.ts';
import { tellAfterCommit } from '../../notifications.ts';
import { wakeDispatcher } from '../../service/insert-termination.ts';
import { recordAudit, systemActor } from '../../service/record-audit.ts';
import type { TerminationWork } from './work.ts';

/** A termination that runs again, for so many chains; `was_completed`: it had been told as completed. */
export interface Resurfaced {
  id: string;
  organization_id: string;
  scope_kind: TerminationWork['scopeKind'];
  scope_id: string;
  chains: number;
  was_completed: boolean;
}

/** Sets a termination running again; its dispatch is due at once where it had been completed. */
export const runsAgain =
  sql.raw(`status = 'running', completed_at = null, verified_at = null, revision = t.revision + (t.status = 'completed')::int,
        progress_at = case when t.status = 'completed' then current_instant() else t.progress_at end,
        dispatch_after = case when t.status = 'completed' then current_instant() else t.dispatch_after end`);
export const resurfacedColumns = sql.raw(
  `t.id, t.organization_id, t.scope_kind, t.scope_id, old.status = 'completed' as was_completed`,
);

/** A chain that was confirmed dead and is alive: pending again, and its termination runs again until it is confirmed once more. */
export const reopen = (
  transaction: Transaction,
  work: TerminationWork,
  chainIds: readonly string[],
  askedAt: number,
): Promise<Resurfaced[]> =>
  rows<Resurfaced>(
    transaction,
    sql`with back as (
        select id, termination_id, outcome from refresh_token_chains
        where organization_id = ${work.organizationId} and id = any (${[...chainIds]}::text[]) and outcome in ('invalidated', 'already-dead')
          and (termination_id = ${work.id} or settled_at < to_timestamp(${Math.floor(askedAt)}::float8 / 1000)) order by id for update
      ), again as (
        update refresh_token_chains r set outcome = 'pending', settled_at = null
        from back where r.organization_id = ${work.organizationId} and r.id = back.id
      ), counts as (
        select termination_id, count(*) filter (where outcome = 'invalidated')::int as confirmed, count(*) filter (where outcome = 'already-dead')::int as dead
        from back group by termination_id
      )
      update terminations t set chains_confirmed = chains_confirmed - c.confirmed, chains_already_dead = chains_already_dead - c.dead,
        chains_pending = chains_pending + c.confirmed + c.dead, resurfaced = resurfaced + c.confirmed + c.dead, ${runsAgain}
      from counts c where t.id = c.termination_id
      returning ${resurfacedColumns}, c.confirmed + c.dead as chains`,
  );

/** Tells who watches them; one fact for each termination that had been told as completed and is not. */
export async function auditResurfaced(transaction: Transaction, resurfaced: readonly Resurfaced[]): Promise<void> {
  for (const { id } of resurfaced) tellAfterCommit(transaction, 'termination_changes', id);
  const again = resurfaced.filter((t) => t.was_completed);
  await recordAudit(
    transaction,
    again.map((t) => ({
      organizationId: t.organization_id,
      action: 'termination.chain-resurfaced' as const,
      actor: systemActor,
      subject: { kind: t.scope_kind, id: t.scope_id },
      details: {
        terminationId: t.id,
        chains: resurfaced.reduce((sum, other) => sum + (other.id === t.id ? other.chains : 0), 0),
      },
    })),
  );
  if (again.length > 0) wakeDispatcher(transaction);
}
