import { sql } from 'kysely';

const ofSupportSession = (column: 'over_at' | 'over_reason') =>
  sql.raw(`(select v.${column} from session_states v
    where s.support_access_grant_id is not null and v.organization_id = s.organization_id and v.id = s.id)`);

/**
 * When and why the support session `s` is over already, as every read says it: with its grant, or with the session it was
 * opened from. Whoever writes down that it is ended writes this, so that the end that was shown stays the end. Null for
 * one that still lives, and for every other session, which it costs nothing.
 */
export const knownEnd = { at: ofSupportSession('over_at'), reason: ofSupportSession('over_reason') };
