import { sql } from 'kysely';
import { rows, type Transaction } from '../../database.ts';
import type { Actor } from '../../rules/termination.ts';
import { endingsOf, grantsName, takeLocks } from '../locks.ts';

/**
 * Orders the activation of a grant against every ending of who gives it, and serializes it with the other decisions about
 * the organization's grants. The giver was judged when the row was written; only what came since can have ended them.
 */
export async function holdGiver(transaction: Transaction, organizationId: string, giver: Actor): Promise<void> {
  const isPerson = giver.sessionId !== null;
  await takeLocks(transaction, [
    { name: grantsName(organizationId), shared: false },
    ...(isPerson ? endingsOf(organizationId, giver.id) : []),
  ]);
  if (isPerson) {
    await rows(
      transaction,
      sql`select 1 from sessions where organization_id = ${organizationId} and id = ${giver.sessionId} for share`,
    );
  }
}

/** Decided since the grant `g` was written: one range of the index of fences for each scope (a cutoff is never before its decision). */
const fencedSince = (kind: string, scopeId: string) => `exists (select from terminations t
  where t.organization_id = g.organization_id and t.scope_kind = '${kind}' and t.scope_id = ${scopeId}
    and t.cutoff >= g.created_at and t.decided_at >= g.created_at and g.created_by ->> 'sessionId' <> all (t.kept_session_ids))`;

/** Of a grant `g`: the session that it was given in has been ended, by its row, or by a fence since where it has none. */
export const giverIsEnded = sql.raw<boolean>(`coalesce(
  (select s.over_at is not null from session_states s where s.organization_id = g.organization_id and s.id = g.created_by ->> 'sessionId'),
  g.created_by ->> 'sessionId' is not null and
    (${fencedSince('user', "g.created_by ->> 'id'")} or ${fencedSince('organization', 'g.organization_id')}))`);
