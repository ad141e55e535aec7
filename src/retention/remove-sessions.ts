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
      where (organization_id, id) > (${from.organizationId}, ${from.sessionId}) order by organization_id, id offset ${sql.lit(PAGE_SIZE - 1)} limit 1`,
  );
  return end ?? null;
}

const inPage = ({ from, to }: RetentionPage) =>
  to === null
    ? sql`(s.organization_id, s.id) > (${from.organizationId}, ${from.sessionId})`
    : sql`(s.organization_id, s.id) > (${from.organizationId}, ${from.sessionId}) and (s.organization_id, s.id) <= (${to.organizationId}, ${to.sessionId})`;

/**
 * There is none. Not `not exists`, which PostgreSQL may answer by reading the whole table once for the page: this is
 * looked up for each row, by an index.
 */
const none = (from: string) => `(select 1 from ${from} limit 1) is null`;
const noTermination = (kind: string, scopeId: string) =>
  none(
    `terminations t where t.organization_id = s.organization_id and t.verified_at is null and t.scope_kind = '${kind}' and t.scope_id = ${scopeId}`,
  );
const hasDetails = sql.raw(
  `(s.ip_address is not null or s.user_agent is not null or s.client is not null or s.authentication_methods <> '{}')`,
);
const withoutDetails = sql.raw(`ip_address = null, user_agent = null, client = null, authentication_methods = '{}'`);

/** Nobody may still need the row: no termination in whose scope it lies is open, no grant of it is, no chain waits for a confirmation. */
const nobodyNeedsIt = sql.raw(
  [
    noTermination('user', 's.user_id'),
    noTermination('organization', 's.organization_id'),
    noTermination('session', 's.id'),
    noTermination('grant', 's.support_access_grant_id::text'),
    none('support_access_grants g where g.id = s.support_access_grant_id and g.settled_at is null'),
    none(`refresh_token_chains r left join terminations t on t.id = r.termination_id
      where r.organization_id = s.organization_id and r.session_id = s.id and (r.outcome = 'pending' or t.verified_at is null and r.termination_id is not null)`),
  ].join(' and '),
);
const noSessionOpenedFromIt = sql.raw(
  none(
    'sessions c where c.parent_organization_id = s.organization_id and c.parent_session_id = s.id and c.termination_id is null',
  ),
);
const notTerminated = sql.raw(
  none(`session_states v where v.organization_id = s.organization_id and v.id = s.id and v.over_reason = 'terminated'`),
);
const hasChains = sql.raw(
  '(select 1 from refresh_token_chains r where r.organization_id = s.organization_id and r.session_id = s.id limit 1) is not null',
);

/** It ended, and not every refresh token of it is known to be dead: by its bare id a late event is known not to begin it anew. */
const mayStillRefresh = sql.raw(`s.ended_at is not null and (
    select coalesce(bool_or(coalesce(r.outcome, 'pending') = 'pending'), true) from refresh_token_chains r
    where r.organization_id = s.organization_id and r.session_id = s.id)`);
/** Since when nothing of it was told; its chains may be used long after the sign-out. */
const quietSince = sql.raw(
  `case when s.ended_at is null then s.expires_at else greatest(s.ended_at, s.last_seen_at) end`,
);

/**
 * Removes sessions that signed out, were rejected or expired and were quiet for so long, with their chains; never one that
 * a termination ended, none that ended while a chain of it may live, and no staff session while one that was opened from it is still there. Returns how many.
 */
export async function removeOldSessions(transaction: Transaction, page: RetentionPage): Promise<number> {
  const removed = await rows(
    transaction,
    sql`with due as materialized (
        select s.organization_id, s.id from sessions s
        where ${inPage(page)} and s.termination_id is null and ${quietSince} < (select current_instant()) - ${page.days} * interval '1 day' and ${nobodyNeedsIt}
          and not (${mayStillRefresh}) and ${noSessionOpenedFromIt} and ${notTerminated}
        order by s.organization_id, s.id limit ${sql.lit(PAGE_SIZE)} for update of s skip locked
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
    sql`with due as materialized (
        select s.organization_id, s.id from sessions s
        where (select verified_at from terminations own where own.id = s.termination_id) is not null and ${inPage(page)} and s.ended_at < (select current_instant()) - ${page.days} * interval '1 day' and ${nobodyNeedsIt}
          and (${hasDetails}
            or ${hasChains})
        order by s.organization_id, s.id limit ${sql.lit(PAGE_SIZE)} for update of s skip locked
      ), chains as (
        delete from refresh_token_chains r using due where r.organization_id = due.organization_id and r.session_id = due.id
      )
      update sessions s set ${withoutDetails}
      from due where s.organization_id = due.organization_id and s.id = due.id returning 1`,
  );
  return cleared.length;
}

/**
 * Of sessions that ended otherwise and were quiet for so long, but may still refresh, the details of the person's device
 * go. The bare ids of session and chains stay. Returns how many were emptied.
 */
export async function clearEndedSessions(transaction: Transaction, page: RetentionPage): Promise<number> {
  const cleared = await rows(
    transaction,
    sql`with due as materialized (
        select s.organization_id, s.id from sessions s
        where ${inPage(page)} and s.termination_id is null and ${quietSince} < (select current_instant()) - ${page.days} * interval '1 day' and ${mayStillRefresh} and ${hasDetails}
          and ${nobodyNeedsIt}
        order by s.organization_id, s.id limit ${sql.lit(PAGE_SIZE)} for update of s skip locked
      )
      update sessions s set ${withoutDetails} from due where s.organization_id = due.organization_id and s.id = due.id returning 1`,
  );
  return cleared.length;
}
