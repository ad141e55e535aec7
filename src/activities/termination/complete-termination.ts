import { sql } from 'kysely';
import { row } from '../../database.ts';
import { type PassState, takeCalls } from './pass.ts';
import type { TerminationActivityOptions } from './pass-result.ts';
import { isThereA, type TerminationWork, unclaimed, unconfirmed } from './work.ts';

/**
 * The one write that says "completed": only for the revision that was swept, only with nothing pending, with its audit
 * event; and only with no session left in scope that nobody has, or whose sign-in is not confirmed, whoever has it.
 */
export async function completeTermination(
  { database, verifyAfterSeconds }: TerminationActivityOptions,
  work: TerminationWork,
  state: PassState,
): Promise<boolean> {
  const completed = await row(
    database.pool,
    sql`with done as (
        update terminations set status = 'completed', completed_at = current_instant(), attempts = attempts + ${takeCalls(state, 0)}::int, progress_at = current_instant(),
          next_look_at = current_instant() + ${verifyAfterSeconds} * interval '1 second',
          dispatch_after = current_instant() + (${verifyAfterSeconds} + 60) * interval '1 second', dispatch_count = 0
        where id = ${work.id} and revision = ${work.revision} and status = 'running' and sessions_pending = 0 and chains_pending = 0
          and not ${isThereA(unclaimed(work))} and not ${isThereA(unconfirmed(work))}
        returning *
      ), fact as (
        insert into audit_events (organization_id, at, action, actor, subject_kind, subject_id, details)
        select organization_id, completed_at, 'termination.completed', '{"kind":"system","id":"session-management","sessionId":null,"supportAccessGrantId":null}', scope_kind, scope_id,
          jsonb_build_object('terminationId', id, 'sessions', jsonb_build_object('total', sessions_total),
            'chains', jsonb_build_object('total', chains_total, 'confirmed', chains_confirmed, 'alreadyDead', chains_already_dead), 'attempts', attempts)
        from done
      )
      select 1 from done`,
  );
  if (completed !== undefined) database.tell('termination_changes', [work.id]);
  return completed !== undefined;
}
