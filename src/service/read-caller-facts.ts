import { sql } from 'kysely';
import { type Database, row } from '../database.ts';
import type { CallerFacts, TokenClaims } from '../rules/access.ts';
import { isUuid } from '../rules/identifier.ts';
import { knownAheadMs } from './auth-module-clock.ts';
import { grantIsLive } from './live-grant.ts';

interface FactsRow {
  own_session_ended: boolean;
  session_grant_id: string | null;
  live_grant_id: string | null;
}

/**
 * What is true of a caller at this instant, in one statement: whether the own session has been ended here, under which
 * grant it was opened, and whether a grant of `organizationId` is live for this person. A session without a row is
 * judged by when the token says it began, against the fences of its user and organization; one that a fence keeps is kept.
 * What the token says is by the Auth Module's clock, which may be ahead.
 * A support session is also looked for, and fenced, in the organization that is asked for: its token may name another as
 * its own, and must not outlive the customer's end of it.
 */
export const createReadCallerFacts =
  ({ database }: { database: Database }) =>
  async (claims: TokenClaims, organizationId: string): Promise<CallerFacts> => {
    const home = claims.organizationId ?? organizationId;
    const began = new Date(claims.authenticatedAtMs).toISOString();
    const own = claims.organizationId === null ? sql`user_id = ${claims.subject}` : sql`organization_id = ${home}`;
    const ownHere = sql`(organization_id = ${organizationId} and user_id = ${claims.subject} and support_access_grant_id is not null)`;
    const fencedIn = claims.supportAccessGrantId === null ? [home] : [home, organizationId];
    const facts = await row<FactsRow>(
      database.pool,
      sql`with own as (
          select user_id, over_at, support_access_grant_id from session_states
          where id = ${claims.sessionId} and ${home === organizationId ? own : sql`(${own} or ${ownHere})`}
        ), named as (
          select coalesce((select support_access_grant_id from own where support_access_grant_id is not null limit 1), ${uuidOrNull(claims.supportAccessGrantId)}::uuid) as grant_id,
            ${claims.supportAccessGrantId !== null} or exists (select from own where support_access_grant_id is not null) as is_support
        )
        select
          case when exists (select from own) then exists (select from own where over_at is not null or user_id <> ${claims.subject})
            else exists (select from terminations t where t.organization_id = any (${fencedIn}::text[])
              and t.cutoff >= ${began}::timestamptz - ${knownAheadMs} * interval '1 millisecond'
              and ((t.scope_kind = 'user' and t.scope_id = ${claims.subject}) or (t.scope_kind = 'organization' and t.scope_id = t.organization_id))
              and ${claims.sessionId} <> all (t.kept_session_ids))
          end as own_session_ended,
          (select support_access_grant_id from own where support_access_grant_id is not null limit 1) as session_grant_id,
          (select id from support_access_grants g, named where g.organization_id = ${organizationId} and ${grantIsLive}
            and (g.user_id is null or g.user_id = ${claims.subject}) and (not named.is_support or g.id = named.grant_id)
            order by g.expires_at desc limit 1) as live_grant_id`,
    );
    if (facts === undefined) throw new Error('a select without from returns one row');
    return {
      ownSessionEnded: facts.own_session_ended,
      sessionGrantId: facts.session_grant_id,
      liveGrantId: facts.live_grant_id,
    };
  };

/** A claim that is not a grant's id matches no grant; it must not make the statement fail. */
const uuidOrNull = (text: string | null): string | null => (text !== null && isUuid(text) ? text : null);
