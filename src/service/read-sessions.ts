import { type RawBuilder, sql } from 'kysely';
import type { Database } from '../database.ts';
import type { SessionEndReason, SessionStatus } from '../rules/session.ts';
import { createBatch } from './batch.ts';
import type { PagePosition } from './index.ts';
import { listRows } from './list-rows.ts';

/** Of an active session nothing is over, and where only those are read it is not asked for. */
interface Over {
  status: SessionStatus;
  over_at: string | null;
  over_reason: SessionEndReason | null;
  over_termination_id: string | null;
}

const overColumns = sql.raw(`, over_at, over_reason, over_termination_id,
  case when over_at is not null then 'ended' when effective_expires_at <= current_instant() then 'expired' else 'active' end as status`);

interface Columns {
  /** Which of the questions of a statement it answers, from one. */
  n: number;
  id: string;
  started_at: string;
  /** What lists are ordered by: no event that comes later changes it. */
  first_started_at: string;
  last_seen_at: string;
  effective_expires_at: string | null;
  ip_address: string | null;
  user_agent: string | null;
  client: string | null;
  /** PostgreSQL's text of the array: see `textArray`. */
  authentication_methods: string;
  support_access_grant_id: string | null;
  alive: number;
  dead: number;
}

export type SessionRow = Columns & (Over | { status?: undefined });

interface Question {
  organizationId: string;
  userId: string;
  /** Rows at most. */
  limit: number;
  /** The last row of the page before. */
  after: PagePosition | null;
}

export type ReadSessions = (status: ListedStatus, question: Question) => Promise<readonly SessionRow[]>;
type ListedStatus = keyof typeof condition;

// Spelled out for each status, so that the planner can walk the index that holds just these rows. A marked row has expired,
// by more than any clock is set back; whether another one has is the clock's to say.
const condition = {
  active: sql.raw(
    'ended_at is null and expiry_marked_at is null and over_at is null and (effective_expires_at is null or effective_expires_at > current_instant())',
  ),
  ended: sql.raw('(over_at is not null or effective_expires_at <= current_instant())'),
  all: sql.raw('true'),
};

const lanes = 2;
/** Pages a statement at most: one is held up by at most so many others that it shares with, and they by it. */
const size = 8;

/**
 * Sessions of one user with their chains, newest start first. To begin and end such a statement costs PostgreSQL a
 * quarter of what a page does, so pages that are asked for at once share one: the same statement for each status, with
 * and without a position to go on from, so that either walks an index from where the page begins.
 */
export function createReadSessions({ database }: { database: Pick<Database, 'pool'> }): ReadSessions {
  const shape = (status: ListedStatus, goesOn: boolean) =>
    createBatch((questions: readonly Question[]) => read(database, questions, status, goesOn), { lanes, size });
  const both = (status: ListedStatus) => ({ first: shape(status, false), further: shape(status, true) });
  const ask = { active: both('active'), ended: both('ended'), all: both('all') };
  return (status, question) => (question.after === null ? ask[status].first(question) : ask[status].further(question));
}

async function read(
  database: Pick<Database, 'pool'>,
  questions: readonly Question[],
  status: ListedStatus,
  goesOn: boolean,
): Promise<SessionRow[][]> {
  const pages: SessionRow[][] = questions.map(() => []);
  for (const row of await listRows(database.pool, pagesStatement(questions, status, goesOn)))
    pages[row.n - 1]?.push(row);
  return pages;
}

/** One statement for pages of many users; `goesOn` where each has a position to go on from. */
export function pagesStatement(
  questions: readonly Question[],
  status: ListedStatus,
  goesOn: boolean,
): RawBuilder<SessionRow> {
  const position = goesOn
    ? {
        arrays: sql`, ${questions.map(({ after }) => after?.at)}::timestamptz[], ${questions.map(({ after }) => after?.id)}::text[]`,
        names: sql`, after_at, after_id`,
        condition: sql`(first_started_at, s.id) < (q.after_at, q.after_id)`,
      }
    : { arrays: sql``, names: sql``, condition: sql`true` };
  return sql<SessionRow>`select q.n::int, page.*
    from unnest(${questions.map(({ organizationId }) => organizationId)}::text[], ${questions.map(({ userId }) => userId)}::text[],
      ${questions.map(({ limit }) => limit)}::int[]${position.arrays}) with ordinality as q (organization_id, user_id, most${position.names}, n)
    cross join lateral (
      select s.id, started_at, first_started_at, last_seen_at, effective_expires_at, ip_address, user_agent, client,
        authentication_methods::text, support_access_grant_id, alive, dead${status === 'active' ? sql`` : overColumns}
      from session_states_of(q.organization_id, q.user_id) s
      -- a chain is alive until the Auth Module confirmed it dead
      cross join lateral (
        select count(*) filter (where c.outcome is null or c.outcome = 'pending')::int as alive, count(*) filter (where c.outcome <> 'pending')::int as dead
        from refresh_token_chains c where c.organization_id = q.organization_id and c.user_id = q.user_id and c.session_id = s.id
      ) chains
      where ${condition[status]} and ${position.condition}
      order by first_started_at desc, s.id desc limit q.most
    ) page
    order by q.n, first_started_at desc, id desc`;
}
