import { sql } from 'kysely';
import { row, rows, type Transaction } from '../database.ts';

/** A place in the walk over all sessions, by their primary key. */
export interface PageEnd {
  organizationId: string;
  sessionId: string;
}
export interface RetentionPage {
  /** Exclusive. */
  from: PageEnd;
  /** Inclusive; null is the end of the table. */
  to: PageEnd | null;
  days: number;
}

/** Sessions looked at in one step. */
export const PAGE_SIZE = 2_000;

/** The last session of the page after `from`; null where the table ends before. Reads the primary key only. */
export async function nextPageEnd(transaction: Transaction, from: PageEnd): Promise<PageEnd | null> {
  const end = await row<PageEnd>(
    transaction,
    sql`select organization_id as "organizationId", id as "sessionId" from sessions
      where (organization_id, id) > (${from.organizationId}, ${from.sessionId}) order by organization_id, id offset ${PAGE_SIZE - 1} limit 1`,
  );
  return end ?? null;
}

const inPage = ({ from, to }: RetentionPage) =>
  to === null
    ? sql`(s.organization_id, s.id) > (${from.organizationId}, ${from.sessionId})`
    : sql`(s.organization_id, s.id) > (${from.organizationId}, ${from.sessionId}) and (s.organization_id, s.id) <= (${to.organizationId}, ${to.sessionId})`;

/** Nobody may still need the row: no termination in whose scope it lies is open, no grant of it is, no chain waits for a confirmation. */
const nobodyNeedsIt = sql.raw(`not exists (
    select from terminations t where t.organization_id = s.organization_id and t.verified_at is null and (
      t.scope_kind = 'user' and t.scope_id = s.user_id or t.scope_kind = 'organization' or t.scope_kind = 'session' and t.scope_id = s.id
      or t.scope_kind = 'grant' and t.scope_id = s.support_access_grant_id::text))
  and not exists (select from support_access_grants g where g.id = s.support_access_grant_id and g.settled_at is null)
  and not exists (
    select from refresh_token_chains r left join terminations t on t.id = r.termination_id
    where r.organization_id = s.organization_id and r.session_id = s.id and (r.outcome = 'pending' or t.verified_at is null and r.termination_id is not null))`);

/**
 * Removes sessions that signed out, were rejected or expired so long ago, with their chains; never one that a termination
 * ended, and no staff session while one that was opened from it is still there. Returns how many.
 */
export async function removeOldSessions(transaction: Transaction, page: RetentionPage): Promise<number> {
  const removed = await rows(
    transaction,
    sql`with clock as materialized (select current_instant() as now), due as materialized (
        select s.organization_id, s.id from sessions s, clock
        where ${inPage(page)} and s.termination_id is null and coalesce(s.ended_at, s.expires_at) < now - ${page.days} * interval '1 day' and ${nobodyNeedsIt}
          and not exists (select from sessions c where c.parent_organization_id = s.organization_id and c.parent_session_id = s.id and c.termination_id is null)
          and not exists (select from session_states v where v.organization_id = s.organization_id and v.id = s.id and v.over_reason = 'terminated')
        order by s.organization_id, s.id for update of s skip locked
      ), chains as (
        delete from refresh_token_chains r using due where r.organization_id = due.organization_id and r.session_id = due.id
      )
      delete from sessions s using due where s.organization_id = due.organization_id and s.id = due.id returning 1`,
  );
  return removed.length;
}

/**
 * Of sessions that a verified termination ended so long ago, the details of the person's device and the chains go. The
 * bare row stays for ever: by it a late event of an ended session is known as such. Returns how many were emptied.
 */
export async function clearTerminatedSessions(transaction: Transaction, page: RetentionPage): Promise<number> {
  const cleared = await rows(
    transaction,
    sql`with clock as materialized (select current_instant() as now), due as materialized (
        select s.organization_id, s.id from clock, sessions s join terminations own on own.id = s.termination_id and own.verified_at is not null
        where ${inPage(page)} and s.ended_at < now - ${page.days} * interval '1 day' and ${nobodyNeedsIt}
          and (s.ip_address is not null or s.user_agent is not null or s.client is not null or s.authentication_methods <> '{}'
            or exists (select from refresh_token_chains r where r.organization_id = s.organization_id and r.session_id = s.id))
        order by s.organization_id, s.id for update of s skip locked
      ), chains as (
        delete from refresh_token_chains r using due where r.organization_id = due.organization_id and r.session_id = due.id
      )
      update sessions s set ip_address = null, user_agent = null, client = null, authentication_methods = '{}'
      from due where s.organization_id = due.organization_id and s.id = due.id returning 1`,
  );
  return cleared.length;
}
