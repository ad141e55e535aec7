import { type RawBuilder, sql } from 'kysely';

const shown = (column: 'over_at' | 'over_reason') =>
  sql.raw(`(select v.${column} from session_states v where v.organization_id = s.organization_id and v.id = s.id)`);

/**
 * Writes down that the session `s` is ended by a termination, as every read has said it: what was stored stays; else since
 * and why its first fence, its grant or the session it was opened from ended it, whoever writes; where none did, since
 * the termination was requested, or since it began, where a late start came after that.
 */
export const endedBy = (requestedAt: RawBuilder<unknown>) =>
  sql`ended_at = coalesce(s.ended_at, ${shown('over_at')}, greatest(${requestedAt}, s.fenced_from)),
    end_reason = coalesce(s.end_reason, ${shown('over_reason')}, 'terminated')`;

/** When the termination `id` was requested, for a statement that does not read it. */
export const requestedAtOf = (id: string) => sql`(select t.requested_at from terminations t where t.id = ${id})`;
