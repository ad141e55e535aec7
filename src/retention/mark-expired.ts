/**
 * What has expired leaves the indexes of active sessions: a user with a hundred thousand expired ones is listed like one
 * with none. The mark decides nothing else; whether a session is expired is the clock's to say, in every read.
 */
import { sql } from 'kysely';
import type { Logger } from 'pino';
import { type Database, row, rows, type Transaction } from '../database.ts';
import { type Loop, startLoop } from '../dispatcher/loop.ts';

/** Sessions looked at in one step, of those that are in the indexes of active ones. */
const PAGE_SIZE = 2_000;
const STEP_MS = 1_000;
/** After a whole walk. */
const REST_SECONDS = 60;
/** So long ago that no clock is set back behind it; one that is set back further is made good by `unmark`. */
const EXPIRED_FOR = sql.raw(`interval '1 hour'`);

interface Place {
  organization_id: string;
  user_id: string;
  first_started_at: string;
  session_id: string;
}

/** Runs in every worker; one of them at a time makes a step, at most one a second. */
export const startMarkingExpired = ({ database, logger }: { database: Database; logger: Logger }): Loop =>
  startLoop({
    name: 'expired',
    work: async () => {
      await markExpiredStep(database);
      return false;
    },
    pollMs: STEP_MS,
    logger,
  });

/** One step, all or nothing. Null: none is due, or another worker is at it. Else how many were marked. */
export const markExpiredStep = (database: Database): Promise<number | null> =>
  database.transaction(async (transaction) => {
    const from = await row<Place>(
      transaction,
      sql`select organization_id, user_id, first_started_at, session_id from expiry_progress where next_step_at <= current_instant() for update skip locked`,
    );
    if (from === undefined) return null;
    await unmark(transaction);
    const { marked, ...to } = await markPage(transaction, from);
    await keepPlace(transaction, to);
    return marked;
  });

/** The walk is over the index of active sessions itself: its length is what lists would have to pass over. */
const walked = sql.raw('ended_at is null and expiry_marked_at is null');
const place = sql.raw('(organization_id, user_id, first_started_at, id)');
const at = (p: Place) => sql`(${p.organization_id}, ${p.user_id}, ${p.first_started_at}::timestamptz, ${p.session_id})`;

type PageEnd = Place | { [column in keyof Place]: null };

/**
 * Marks what has expired in the page after `from`; tells where the page ends, null where the walk does. A row that is locked
 * is being told of: it comes with the next walk. Each is looked at anew when it is locked, so that a later end which came
 * meanwhile counts.
 */
async function markPage(transaction: Transaction, from: Place): Promise<{ marked: number } & PageEnd> {
  const page = await row<{ marked: number } & PageEnd>(
    transaction,
    sql`with clock as materialized (select now, now - ${EXPIRED_FOR} as long_ago from (select current_instant() as now) c), page as materialized (
        select organization_id, user_id, first_started_at, id, expires_at from sessions where ${walked} and ${place} > ${at(from)}
        order by organization_id, user_id, first_started_at, id limit ${sql.lit(PAGE_SIZE)}
      ), expired as materialized (
        select locked.organization_id, locked.id from clock, page cross join lateral (
          select s.organization_id, s.id from sessions s where s.organization_id = page.organization_id and s.id = page.id and s.expires_at < long_ago
          for no key update skip locked
        ) locked where page.expires_at < long_ago
      ), marked as (
        update sessions s set expiry_marked_at = now from clock, expired where s.organization_id = expired.organization_id and s.id = expired.id returning 1
      )
      select (select count(*) from marked)::int as marked, ended.* from (select 1) one left join (
        select organization_id, user_id, first_started_at, id as session_id from page
        order by organization_id, user_id, first_started_at, id offset ${sql.lit(PAGE_SIZE - 1)} limit 1
      ) ended on true`,
  );
  if (page === undefined) throw new Error('a page always says where it ends');
  return page;
}

/** What was marked at an instant that is still to come: the clock was ahead then. What has expired all the same is marked again. */
const unmark = (transaction: Transaction): Promise<unknown> =>
  rows(
    transaction,
    sql`update sessions set expiry_marked_at = null where (organization_id, id) in (
      select organization_id, id from sessions where expiry_marked_at > (select current_instant())
      order by expiry_marked_at limit ${sql.lit(PAGE_SIZE)} for no key update skip locked)`,
  );

const beginning: Place = { organization_id: '', user_id: '', first_started_at: '-infinity', session_id: '' };

function keepPlace(transaction: Transaction, to: PageEnd): Promise<unknown> {
  const isOver = to.session_id === null;
  const next = isOver ? beginning : to;
  return rows(
    transaction,
    sql`update expiry_progress set organization_id = ${next.organization_id}, user_id = ${next.user_id},
      first_started_at = ${next.first_started_at}::timestamptz, session_id = ${next.session_id},
      next_step_at = current_instant() + ${isOver ? REST_SECONDS : STEP_MS / 1_000} * interval '1 second'`,
  );
}
