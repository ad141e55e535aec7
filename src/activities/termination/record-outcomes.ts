import { sql } from 'kysely';
import { type Database, rows } from '../../database.ts';
import type { ErrorClass } from '../../rules/termination.ts';
import { endedBy } from '../../service/ended-by.ts';
import type { Page } from './work.ts';

export interface Outcomes {
  terminationId: string;
  organizationId: string;
  /** What was sent. */
  page: Page;
  /** What was answered; what has no outcome here, or `failed`, stays pending. */
  chains: ReadonlyMap<string, string>;
  sessions: ReadonlyMap<string, string>;
  /** Something else may have ended sessions of the page before. */
  mayBeOver: boolean;
  /** Calls made to the Auth Module since the last record. */
  calls: number;
  errorClass: ErrorClass | null;
}

const told = (ids: readonly string[], outcomes: ReadonlyMap<string, string>) =>
  JSON.stringify(
    ids.map((id) => ({
      id,
      outcome: outcomes.get(id) === 'invalidated' || outcomes.get(id) === 'already-dead' ? outcomes.get(id) : 'pending',
    })),
  );

/**
 * Writes what became of a page, and counts it, in one statement. A row without a termination becomes this one's, ended
 * when this one was requested; one that is pending is settled, whoever's it is, and counted there. Each row takes each
 * step once, whoever repeats the page, so that the counters are exact after any crash.
 */
export async function recordOutcomes(database: Database, o: Outcomes): Promise<void> {
  const changed = await rows<{ id: string }>(
    database.pool,
    sql`with told as (select * from jsonb_to_recordset(${told(o.page.chainIds, o.chains)}::jsonb) as c(id text, outcome text)),
      told_sessions as (select * from jsonb_to_recordset(${told(o.page.sessionIds, o.sessions)}::jsonb) as c(id text, outcome text)),
      chains as (
        update refresh_token_chains r set outcome = told.outcome, termination_id = coalesce(r.termination_id, ${o.terminationId}::uuid),
          settled_at = case when told.outcome <> 'pending' then current_instant() end
        from told where r.organization_id = ${o.organizationId} and r.id = told.id and (r.termination_id is null or (r.outcome = 'pending' and told.outcome <> 'pending'))
        returning new.termination_id, new.outcome, old.termination_id is null as is_new
      ), held as (
        -- not "old" of the update: where the row was waited for and the table has a trigger before updates, that is the row of before the wait
        select s.id, told_sessions.outcome, s.termination_id is null as is_new
        from told_sessions join sessions s on s.organization_id = ${o.organizationId} and s.id = told_sessions.id
        where s.termination_id is null or (s.sign_in_outcome = 'pending' and told_sessions.outcome <> 'pending')
        order by s.id for update of s
      ), sign_ins as (
        update sessions s set sign_in_outcome = held.outcome, termination_id = coalesce(s.termination_id, ${o.terminationId}::uuid),
          ${endedBy(sql`${o.mayBeOver}::boolean`)}
        from held, terminations t where t.id = ${o.terminationId}::uuid and s.organization_id = ${o.organizationId} and s.id = held.id
        returning new.termination_id, new.sign_in_outcome as outcome, held.is_new
      ), counts as (
        select termination_id, sum(new_chains)::int as new_chains, sum(confirmed)::int as confirmed, sum(dead)::int as dead, sum(new_sessions)::int as new_sessions, sum(ended)::int as ended from (
          select termination_id, is_new::int as new_chains, (outcome = 'invalidated')::int as confirmed, (outcome = 'already-dead')::int as dead, 0 as new_sessions, 0 as ended from chains
          union all select termination_id, 0, 0, 0, is_new::int, (outcome <> 'pending')::int from sign_ins
          union all select ${o.terminationId}::uuid, 0, 0, 0, 0, 0
        ) x group by termination_id
      )
      update terminations t set
        chains_total = chains_total + c.new_chains, chains_confirmed = chains_confirmed + c.confirmed, chains_already_dead = chains_already_dead + c.dead,
        chains_pending = chains_pending + c.new_chains - c.confirmed - c.dead,
        sessions_total = sessions_total + c.new_sessions, sessions_pending = sessions_pending + c.new_sessions - c.ended,
        last_outcome_at = case when c.confirmed + c.dead + c.ended > 0 then current_instant() else last_outcome_at end,
        progress_at = case when c.confirmed + c.dead + c.ended > 0 then current_instant() else progress_at end,
        attempts = attempts + case when t.id = ${o.terminationId}::uuid then ${o.calls}::int else 0 end,
        last_error_class = case when t.id = ${o.terminationId}::uuid then coalesce(${o.errorClass}, last_error_class) else last_error_class end,
        -- only the termination that is at work here is; another's decision, or one not yet delivered, must not be put off
        next_look_at = case when t.id = ${o.terminationId}::uuid then greatest(next_look_at, current_instant()) else next_look_at end,
        dispatch_after = case when t.id = ${o.terminationId}::uuid and delivered_revision = revision then greatest(dispatch_after, current_instant() + interval '1 minute') else dispatch_after end,
        dispatch_count = case when t.id = ${o.terminationId}::uuid and delivered_revision = revision then 0 else dispatch_count end
      from counts c where t.id = c.termination_id
      returning t.id`,
  );
  database.tell(
    'termination_changes',
    changed.map(({ id }) => id),
  );
}
