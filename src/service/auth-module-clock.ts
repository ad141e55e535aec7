import { type RawBuilder, sql } from 'kysely';
import { type Database, row, rows } from '../database.ts';

const lately = sql.raw(`observed_at >= current_instant() - interval '1 hour'`);

/**
 * By how many milliseconds the clock of the Auth Module that speaks for `organization` was seen ahead for certain within
 * the hour: its stamps are later than ours for the same moment.
 */
export const knownAheadMs = (organization: RawBuilder<unknown>) =>
  sql<number>`coalesce((select max(ahead_ms) from (
    select ahead_ms from auth_module_clock where ${lately}
    union all select ahead_ms from organization_clocks where organization_id = ${organization} and ${lately}) known), 0)`;

/** 20 days. A clock that is further ahead is none; its stamps stay in the future, where the time of recording counts. */
const LONGEST_AHEAD_MS = 1_728_000_000;

/** How long a call may have been on its way and still be taken to come from the clock that is known. */
const ON_ITS_WAY_MS = 5_000;

/**
 * By how much the sender's clock is ahead for certain, for a call cannot arrive before it was sent. Milliseconds, never
 * negative; kept for the cutoffs of searches: of one organization where the sender speaks for one, else of all. A call
 * shows it the less, the longer it was on its way, and a start from just before a fence would seem to be from after it:
 * the most that was seen within the hour counts, unless this call is so far from it that the clock must have been set.
 */
export async function clockAhead(
  database: Database,
  sentAt: string,
  organizationId: string | null,
  onDifference?: (ms: number) => void,
): Promise<number> {
  const difference = await row<{ ms: number; known: number }>(
    database.pool,
    sql`select (extract(epoch from ${sentAt}::timestamptz - current_instant()) * 1000)::float8 as ms,
      ${knownAheadMs(sql`${organizationId}::text`)}::float8 as known`,
  );
  const ms = Math.min(Math.round(difference?.ms ?? 0), LONGEST_AHEAD_MS);
  const known = difference?.known ?? 0;
  onDifference?.(ms);
  if (ms <= known) return ms > known - ON_ITS_WAY_MS ? known : Math.max(ms, 0);
  await keep(database, ms, organizationId);
  return ms;
}

async function keep(database: Database, ms: number, organizationId: string | null): Promise<void> {
  const [into, key, id] =
    organizationId === null
      ? [sql.table('auth_module_clock'), sql.ref('only_row'), sql`true`]
      : [sql.table('organization_clocks'), sql.ref('organization_id'), sql`${organizationId}`];
  await rows(
    database.pool,
    sql`insert into ${into} as c (${key}, ahead_ms, observed_at) values (${id}, ${ms}::int, current_instant()) on conflict (${key}) do update
      set ahead_ms = excluded.ahead_ms, observed_at = excluded.observed_at where excluded.ahead_ms >= c.ahead_ms or not (c.${lately})`,
  );
}
