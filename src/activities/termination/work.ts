import { type RawBuilder, sql } from 'kysely';
import { type Database, row, rows } from '../../database.ts';
import { knownAheadMs } from '../../service/auth-module-clock.ts';
import { fenceCovers, reachOfFence } from '../../service/fence.ts';
import type { TerminationScopeKind, TerminationStatus } from '../../rules/termination.ts';

/** A termination as its workflow's activities need it. */
export interface TerminationWork {
  id: string;
  organizationId: string;
  scopeKind: TerminationScopeKind;
  scopeId: string;
  cutoff: string;
  holdsUntil: string;
  /** A bigint, as text. */
  decidedOrder: string;
  /** Up to when it covers what has no row here. */
  reach: string;
  keptSessionIds: string[];
  status: TerminationStatus;
  /** Moves with every decision; `completed` is only ever written for the revision that was swept. */
  revision: number;
  completedMsAgo: number | null;
  verified: boolean;
  sessionsPending: number;
  chainsPending: number;
  /** Support sessions somewhere were opened from sessions of this organization, and no termination has them yet. */
  mayHaveSupportSessions: boolean;
  /** Something else may have ended sessions of this scope already: another fence, a grant, the session that one was opened from. */
  mayBeOver: boolean;
  /** By how much the Auth Module's clock is ahead for certain: its stamps are later than ours for the same moment. */
  clockAheadMs: number;
  /** The database's clock, in milliseconds since 1970, never ahead of it. */
  now(): number;
}

const unclaimedHere = sql.raw('s.organization_id = t.organization_id and s.termination_id is null');

export async function readWork(database: Database, id: string): Promise<TerminationWork | undefined> {
  const work = await row<Omit<TerminationWork, 'now'> & { readAt: number }>(
    database.pool,
    sql`select id, organization_id as "organizationId", scope_kind as "scopeKind", scope_id as "scopeId", cutoff, holds_until as "holdsUntil", decided_order::text as "decidedOrder", ${reachOfFence} as reach, kept_session_ids as "keptSessionIds",
        status, revision, verified_at is not null as verified, sessions_pending as "sessionsPending", chains_pending as "chainsPending",
        greatest(extract(epoch from current_instant() - completed_at) * 1000, 0)::float8 as "completedMsAgo",
        exists (select from sessions s where s.parent_organization_id = t.organization_id and s.parent_session_id is not null and s.termination_id is null) as "mayHaveSupportSessions",
        exists (select from terminations o where o.organization_id = t.organization_id and o.id <> t.id and o.scope_kind in ('user', 'organization'))
          or exists (select from sessions s where ${unclaimedHere} and (s.support_access_grant_id is not null or s.parent_session_id is not null)) as "mayBeOver",
        ${knownAheadMs(sql`t.organization_id`)}::float8 as "clockAheadMs", (extract(epoch from current_instant()) * 1000)::float8 as "readAt"
      from terminations t where id = ${id}::uuid`,
  );
  const began = performance.now();
  return work && { ...work, now: () => work.readAt + performance.now() - began };
}

/** One call to the Auth Module: up to 500 sign-ins and up to 500 chains. */
export interface Page {
  sessionIds: string[];
  chainIds: string[];
}
export const PAGE_SIZE = 500;

interface Item {
  kind: 'session' | 'chain';
  id: string;
}

export function toPages(items: readonly Item[]): Page[] {
  const of = (kind: Item['kind']) => items.filter((item) => item.kind === kind).map((item) => item.id);
  const [sessionIds, chainIds] = [of('session'), of('chain')];
  const count = Math.ceil(Math.max(sessionIds.length, chainIds.length) / PAGE_SIZE);
  const part = (ids: string[], n: number) => ids.slice(n * PAGE_SIZE, (n + 1) * PAGE_SIZE);
  return Array.from({ length: count }, (_, n) => ({ sessionIds: part(sessionIds, n), chainIds: part(chainIds, n) }));
}

/** Halves of a page that was refused as a whole, so that one poison chain is found; a page of one has none. */
export function halves({ sessionIds, chainIds }: Page): Page[] {
  if (sessionIds.length + chainIds.length <= 1) return [];
  if (sessionIds.length > 0 && chainIds.length > 0)
    return [
      { sessionIds, chainIds: [] },
      { sessionIds: [], chainIds },
    ];
  const cut = (ids: string[], from: number, to?: number) =>
    ids.slice(Math.ceil(ids.length * from), to === undefined ? undefined : Math.ceil(ids.length * to));
  return [
    { sessionIds: cut(sessionIds, 0, 0.5), chainIds: cut(chainIds, 0, 0.5) },
    { sessionIds: cut(sessionIds, 0.5), chainIds: cut(chainIds, 0.5) },
  ];
}

/**
 * What earlier attempts left unconfirmed, at most `limit` of each, in random order: items that fail every time must
 * not stand before the others for ever. Sign-ins also where another termination has them: this one is not completed
 * before they are confirmed either. The sign-ins of such chains go along, confirmed or not, as in the sweep.
 */
export async function leftovers(database: Database, work: TerminationWork, limit: number): Promise<Page[]> {
  const pending = await rows<Item & { sessionId: string | null }>(
    database.pool,
    sql`(select 'session' as kind, id, null as "sessionId" from (
          select id from sessions where termination_id = ${work.id} and sign_in_outcome = 'pending'
          union select s.id from sessions s where ${unconfirmed(work)}
        ) unconfirmed order by random() limit ${limit})
      union all
      (select 'chain', id, session_id from refresh_token_chains where termination_id = ${work.id} and outcome = 'pending' order by random() limit ${limit})`,
  );
  const told = new Set(pending.flatMap(({ kind, id }) => (kind === 'session' ? [id] : [])));
  const signIns = new Set(
    pending.flatMap(({ sessionId }) => (sessionId === null || told.has(sessionId) ? [] : [sessionId])),
  );
  return toPages([...pending, ...[...signIns].map((id) => ({ kind: 'session' as const, id }))]);
}

/** The session `s` is one that its fence covers, kept or not. */
export const coveredBy = ({ cutoff, holdsUntil, decidedOrder }: TerminationWork) =>
  fenceCovers({
    cutoff: sql`${cutoff}::timestamptz`,
    holdsUntil: sql`${holdsUntil}::timestamptz`,
    decidedOrder: sql`${decidedOrder}::bigint`,
  });

const inScope = (work: TerminationWork) => {
  const here = sql`s.organization_id = ${work.organizationId}`;
  const fenced = sql`${here} and ${coveredBy(work)} and s.id <> all (${work.keptSessionIds}::text[])`;
  return {
    session: sql`${here} and s.id = ${work.scopeId}`,
    user: sql`${fenced} and s.user_id = ${work.scopeId}`,
    organization: fenced,
    grant: sql`${here} and s.support_access_grant_id = ${work.scopeId}::uuid`,
  }[work.scopeKind];
};

/** The sessions `s` in scope, at or before the cutoff, that no termination has yet. */
export const unclaimed = (work: TerminationWork) => sql`s.termination_id is null and ${inScope(work)}`;

/**
 * Whether there is one of these sessions `s`. Not `exists`, of which PostgreSQL expects that any row will do, so that it
 * begins to read the whole table: the first in the order of an index, or none.
 */
export const isThereA = (which: RawBuilder<unknown>) =>
  sql`(select 1 from sessions s where ${which} order by s.fenced_from limit 1) is not null`;

/** Those whose sign-in the Auth Module has not confirmed as ended, whichever termination has them. */
export const unconfirmed = (work: TerminationWork) => sql`s.sign_in_outcome = 'pending' and ${inScope(work)}`;

/** Where the next page begins, in the order of the indexes that hold what no termination has, as far as the cutoff reaches. */
export interface Position {
  fencedFrom: string;
  id: string;
}

/**
 * The next sessions of the scope that no termination has yet, in their order, with their chains; null at the end. They
 * are only read: what becomes of them is written once, with the outcome (`recordOutcomes`). Two who read the same page
 * send it twice and count it once.
 */
export async function nextPage(
  database: Database,
  work: TerminationWork,
  after: Position | null,
): Promise<{ pages: Page[]; last: Position } | null> {
  const found = await rows<Item & { fencedFrom: string | null; n: number }>(
    database.pool,
    sql`with page as materialized (
        select s.user_id, s.id, s.fenced_from, row_number() over (order by s.fenced_from, s.id)::int as n from sessions s
        where ${unclaimed(work)} and ${after === null ? sql`true` : sql`(s.fenced_from, s.id) > (${after.fencedFrom}::timestamptz, ${after.id})`}
        order by s.fenced_from, s.id limit ${sql.lit(PAGE_SIZE)}
      )
      select 'session' as kind, id, fenced_from as "fencedFrom", n from page
      union all
      -- "offset 0": session by session, never by reading all chains
      select 'chain', r.id, null, 0 from page cross join lateral (
        select id from refresh_token_chains
        where organization_id = ${work.organizationId} and user_id = page.user_id and session_id = page.id and termination_id is null offset 0
      ) r`,
  );
  const last = found.reduce<(typeof found)[number] | undefined>(
    (furthest, item) => (item.n > (furthest?.n ?? 0) ? item : furthest),
    undefined,
  );
  return last === undefined || last.fencedFrom === null
    ? null
    : { pages: toPages(found), last: { fencedFrom: last.fencedFrom, id: last.id } };
}
