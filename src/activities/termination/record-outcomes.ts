import { sql } from 'kysely';
import { type Database, rows } from '../../database.ts';
import type { ErrorClass } from '../../rules/termination.ts';

export interface Outcomes {
  terminationId: string;
  organizationId: string;
  chains: ReadonlyMap<string, string>;
  sessions: ReadonlyMap<string, string>;
  /** Calls made to the Auth Module since the last record. */
  calls: number;
  errorClass: ErrorClass | null;
}

const confirmed = (outcomes: ReadonlyMap<string, string>) =>
  JSON.stringify([...outcomes].filter(([, outcome]) => outcome === 'invalidated' || outcome === 'already-dead').map(([id, outcome]) => ({ id, outcome })));

/**
 * Writes what the Auth Module confirmed, and counts it, in one statement. Each row changes from pending once, whoever
 * repeats the page, so that the counters are exact after any crash. A row of another termination counts there.
 */
export async function recordOutcomes(database: Database, o: Outcomes): Promise<void> {
  await rows(
    database.pool,
    sql`with told as (select * from jsonb_to_recordset(${confirmed(o.chains)}::jsonb) as c(id text, outcome text)),
      told_sessions as (select * from jsonb_to_recordset(${confirmed(o.sessions)}::jsonb) as c(id text, outcome text)),
      chains as (
        update refresh_token_chains r set outcome = told.outcome, settled_at = current_instant()
        from told where r.organization_id = ${o.organizationId} and r.id = told.id and r.outcome = 'pending' returning r.termination_id, r.outcome
      ), sign_ins as (
        update sessions s set sign_in_outcome = told_sessions.outcome
        from told_sessions where s.organization_id = ${o.organizationId} and s.id = told_sessions.id and s.sign_in_outcome = 'pending' returning s.termination_id
      ), counts as (
        select termination_id, sum(confirmed)::int as confirmed, sum(dead)::int as dead, sum(sign_ins)::int as sign_ins from (
          select termination_id, (outcome = 'invalidated')::int as confirmed, (outcome = 'already-dead')::int as dead, 0 as sign_ins from chains
          union all select termination_id, 0, 0, 1 from sign_ins
          union all select ${o.terminationId}::uuid, 0, 0, 0
        ) x group by termination_id
      )
      update terminations t set
        chains_confirmed = chains_confirmed + c.confirmed, chains_already_dead = chains_already_dead + c.dead,
        chains_pending = chains_pending - c.confirmed - c.dead, sessions_pending = sessions_pending - c.sign_ins,
        last_outcome_at = case when c.confirmed + c.dead + c.sign_ins > 0 then current_instant() else last_outcome_at end,
        progress_at = case when c.confirmed + c.dead + c.sign_ins > 0 then current_instant() else progress_at end,
        attempts = attempts + case when t.id = ${o.terminationId}::uuid then ${o.calls}::int else 0 end,
        last_error_class = case when t.id = ${o.terminationId}::uuid then coalesce(${o.errorClass}, last_error_class) else last_error_class end,
        -- only the termination that is at work here is; another's decision, or one not yet delivered, must not be put off
        next_look_at = case when t.id = ${o.terminationId}::uuid then greatest(next_look_at, current_instant()) else next_look_at end,
        dispatch_after = case when t.id = ${o.terminationId}::uuid and delivered_revision = revision then greatest(dispatch_after, current_instant() + interval '1 minute') else dispatch_after end,
        dispatch_count = case when t.id = ${o.terminationId}::uuid and delivered_revision = revision then 0 else dispatch_count end
      from counts c where t.id = c.termination_id
      returning pg_notify('termination_changes', t.id::text)`,
  );
}
