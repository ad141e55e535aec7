import { type RawBuilder, sql } from 'kysely';
import { type Database, type Queryable, row, rows } from '../database.ts';
import type { CallerFacts, TokenClaims } from '../rules/access.ts';
import { isUuid } from '../rules/identifier.ts';
import { knownAheadMs } from './auth-module-clock.ts';
import { createBatch } from './batch.ts';
import { reach } from './fence.ts';
import { grantIsLive } from './live-grant.ts';

interface FactsRow {
  own_session_ended: boolean;
  session_grant_id: string | null;
  live_grant_id: string | null;
}

interface Question {
  claims: TokenClaims;
  organizationId: string;
}

/**
 * What is true of a caller at this instant: whether the own session has been ended here, under which grant it was
 * opened, and whether a grant of `organizationId` is live for this person. The own session is a row of the token's own
 * organization, or of the one that is asked for where it is a support session there; no other organization's rows say
 * anything of it. A session without a row is judged by when the token says it began, against the fences of its user and
 * organization; one that a fence keeps is kept. What the token says is by the Auth Module's clock, which may be ahead.
 * Callers who come at once share a statement, which was begun after each of them had asked.
 */
export function createReadCallerFacts({ database }: { database: Database }) {
  const ask = createBatch((questions: readonly Question[]) => rows<FactsRow>(database.pool, factsOf(questions)), {
    lanes: 1, // so that more share one: to begin it costs as much as to answer five
  });
  return async (claims: TokenClaims, organizationId: string): Promise<CallerFacts> =>
    callerFacts(await ask({ claims, organizationId }));
}

/** The same for one caller, in a statement of its own on `db`: for a decision, inside its transaction. */
export async function readCallerFacts(
  db: Queryable,
  claims: TokenClaims,
  organizationId: string,
): Promise<CallerFacts> {
  const found = await row(db, factsOf([{ claims, organizationId }]));
  if (found === undefined) throw new Error('each question is answered by a row');
  return callerFacts(found);
}

const callerFacts = (facts: FactsRow): CallerFacts => ({
  ownSessionEnded: facts.own_session_ended,
  sessionGrantId: facts.session_grant_id,
  liveGrantId: facts.live_grant_id,
});

/**
 * A support session is also looked for, and fenced, in the organization that is asked for: its token may name another as
 * its own, and must not outlive the customer's end of it.
 */
function factsOf(questions: readonly Question[]): RawBuilder<FactsRow> {
  const column = <T>(of: (claims: TokenClaims) => T) => questions.map(({ claims }) => of(claims));
  // named, so that an operator, and a test, sees in pg_stat_activity who has been judged
  return sql<FactsRow>`/* caller facts */ with asked as (
      select * from unnest(${questions.map((question) => question.organizationId)}::text[], ${column((c) => c.subject)}::text[], ${column((c) => c.sessionId)}::text[],
        ${column((c) => c.organizationId)}::text[], ${column((c) => uuidOrNull(c.supportAccessGrantId))}::uuid[], ${column((c) => c.supportAccessGrantId !== null)}::boolean[],
        ${column((c) => new Date(c.authenticatedAtMs).toISOString())}::timestamptz[])
        with ordinality as q (organization_id, subject, session_id, home_id, token_grant_id, has_token_grant, began_at, n)
    ), questions as materialized (
      select *, began_at - ${knownAheadMs(sql`asked.home_id`)} * interval '1 millisecond' as fenced_from from asked
    )
    select coalesce(own.is_ended, ${isFencedIn('home_id')} or (q.has_token_grant and (${isFencedIn('organization_id')}))) as own_session_ended,
      own.grant_id as session_grant_id, live.id as live_grant_id
    from questions q
    cross join lateral (
      select bool_or(s.over_at is not null or s.user_id <> q.subject) as is_ended, (array_agg(s.support_access_grant_id) filter (where s.support_access_grant_id is not null))[1] as grant_id
      from session_states s where s.id = q.session_id and (
        s.organization_id = q.home_id
        or (s.organization_id = q.organization_id and s.user_id = q.subject and s.support_access_grant_id is not null))
    ) own
    left join lateral (
      select g.id from support_access_grants g where g.organization_id = q.organization_id and ${grantIsLive} and coalesce(g.user_id, '') in ('', q.subject)
        and ((own.grant_id is null and not q.has_token_grant) or g.id = coalesce(own.grant_id, q.token_grant_id))
      order by g.expires_at desc limit 1
    ) live on true
    order by q.n`;
}

/** One range of an index for each kind of fence, which begins where the session does: past fences, however many, are not read. */
const isFencedIn = (organization: 'home_id' | 'organization_id') => {
  const isFenced = (kind: string, scopeId: string) =>
    `exists (select from terminations t where t.organization_id = q.${organization} and t.scope_kind = '${kind}' and t.scope_id = q.${scopeId}
      and t.cutoff >= q.fenced_from and ${reach} >= q.fenced_from and q.session_id <> all (t.kept_session_ids))`;
  return sql.raw(`${isFenced('user', 'subject')} or ${isFenced('organization', organization)}`);
};

/** A claim that is not a grant's id matches no grant; it must not make the statement fail. */
const uuidOrNull = (text: string | null): string | null => (text !== null && isUuid(text) ? text : null);
