import { type RawBuilder, sql } from 'kysely';

/** The end that the termination `t` gives the session `s`: since its request, or since the join that first covered it. */
const byTermination = sql.raw(
  'fence_ended_at(t.earlier_decisions, t.decided_at, t.requested_at, t.cutoff, s.fenced_from, s.started_at, s.recorded_at, s.recorded_order)',
);

/** How `s` is shown; asked only where the condition holds, which costs nothing where it does not. */
const shown = (column: 'over_at' | 'over_reason', when: RawBuilder<unknown>) =>
  sql`(select v.${sql.ref(column)} from session_states v where ${when} and v.organization_id = s.organization_id and v.id = s.id)`;

const end = (mayBeOver: RawBuilder<unknown>, endedAt: RawBuilder<unknown>) =>
  sql`ended_at = coalesce(s.ended_at, ${shown('over_at', mayBeOver)}, ${endedAt}),
    end_reason = coalesce(s.end_reason, ${shown('over_reason', mayBeOver)}, 'terminated')`;

/**
 * Writes down that the session `s` is ended by the termination `t`, as every read has said it: what was stored stays; else
 * since and why its first fence, its grant or the session it was opened from ended it, whoever writes; else by `t`.
 * `mayBeOver`: something other than `t` may have ended it.
 */
export const endedBy = (mayBeOver: RawBuilder<unknown>) => end(mayBeOver, byTermination);

/** The same in a statement that does not read the termination `id`. */
export const endedByTermination = (id: string) =>
  end(sql`true`, sql`(select ${byTermination} from terminations t where t.id = ${id})`);
