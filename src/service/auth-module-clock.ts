import { type RawBuilder, sql } from 'kysely';
import { type Database, row, rows } from '../database.ts';

/** How long a lead counts: the largest that was seen in this time. It falls back by itself. */
const LEARNT_FOR = sql.raw(`interval '10 minutes'`);
/** A clock that is further ahead is none. Nothing is shifted by it, so that one wrong stamp harms nobody. */
export const LONGEST_LEAD_MS = 300_000;

/** The clock of all organizations, among the organizations' own: no id is empty. */
const EVERYBODY = '';

/** The leads that count now, of whomever. */
export const countedLeads = sql`(select organization_id, ahead_ms from auth_module_leads where minute > current_instant() - ${LEARNT_FOR})`;

/**
 * By how many milliseconds the clock of the Auth Module that speaks for `organization` was seen ahead for certain within
 * ten minutes: its stamps are later than ours for the same moment.
 */
export const knownAheadMs = (organization: RawBuilder<unknown>) =>
  sql<number>`coalesce((select max(ahead_ms) from ${countedLeads} lead where organization_id in (${EVERYBODY}, ${organization})), 0)`;

/** Named by its end, so that what is seen in it counts for ten minutes at least. */
const thisMinute = (now: RawBuilder<unknown>) => sql`date_trunc('minute', ${now}) + interval '1 minute'`;

/** How long a call may have been on its way and still be taken to come from the clock that is known. */
const ON_ITS_WAY_MS = 5_000;

/** What the clock of a sender was seen to be by one call. */
export interface SenderClock {
  /** By how much this call's stamps are moved back. Milliseconds, never negative. */
  aheadMs: number;
  /** The lead that this call proves, for `learnLead`; null where there is none, none that is credible, or none that is news. */
  provenMs: number | null;
}

/**
 * By how much the sender's clock is ahead for certain, for a call cannot arrive before it was sent. A call shows it the
 * less, the longer it was on its way, and a start from just before a fence would seem to be from after it: the most that
 * was seen within ten minutes counts, unless this call is so far from it that the clock must have been set.
 */
export async function readSenderClock(
  database: Database,
  sentAt: string,
  organizationId: string | null,
  onDifference?: (ms: number) => void,
): Promise<SenderClock> {
  const difference = await row<{ ms: number; known: number; learnt: number }>(
    database.pool,
    sql`select (extract(epoch from ${sentAt}::timestamptz - current_instant()) * 1000)::float8 as ms,
      ${knownAheadMs(sql`${organizationId}::text`)}::float8 as known,
      coalesce((select ahead_ms from auth_module_leads where organization_id = ${organizationId ?? EVERYBODY} and minute = ${thisMinute(sql`current_instant()`)}), 0)::float8 as learnt`,
  );
  const ms = Math.round(difference?.ms ?? 0);
  const known = difference?.known ?? 0;
  onDifference?.(ms);
  if (ms > LONGEST_LEAD_MS) return { aheadMs: 0, provenMs: null };
  const provenMs = ms > (difference?.learnt ?? 0) ? ms : null;
  if (ms > known) return { aheadMs: ms, provenMs };
  return { aheadMs: ms > known - ON_ITS_WAY_MS ? known : Math.max(ms, 0), provenMs };
}

/**
 * Keeps a lead for the cutoffs of searches, of one organization where the sender speaks for one, else of all. Only who told
 * something that was accepted is learnt from. A row a minute; those that count no longer go with the first of the next.
 */
export async function learnLead(database: Database, leadMs: number, organizationId: string | null): Promise<void> {
  const whose = organizationId ?? EVERYBODY;
  await rows(
    database.pool,
    sql`with clock as materialized (select current_instant() as now), kept as (
        insert into auth_module_leads as l (organization_id, minute, ahead_ms)
        select ${whose}, ${thisMinute(sql`now`)}, ${leadMs}::int from clock
        on conflict (organization_id, minute) do update set ahead_ms = excluded.ahead_ms where excluded.ahead_ms > l.ahead_ms
        returning 1
      )
      delete from auth_module_leads l using clock where l.organization_id = ${whose} and l.minute <= now - ${LEARNT_FOR}
        and exists (select from kept)`,
  );
}
