import { sql } from 'kysely';
import { rows, type Transaction } from '../../database.ts';
import type { TerminationScopeKind } from '../../rules/termination.ts';
import { fenceCovers, ofParent } from '../fence.ts';
import { claimSession, insertTermination } from '../insert-termination.ts';
import { systemActor } from '../record-audit.ts';

/**
 * When a staff member's own session ends here, the support sessions opened from it end, in every organization: each by
 * a termination of its own. (Every read knows it already, by `session_states`; this makes it true at the Auth Module.)
 */
export async function endSupportSessionsOf(
  transaction: Transaction,
  parents: readonly { organizationId: string; id: string }[],
): Promise<void> {
  if (parents.length === 0) return;
  const children = await rows<{ organization_id: string; id: string }>(
    transaction,
    sql`select s.organization_id, s.id from sessions s
      join jsonb_to_recordset(${JSON.stringify(parents.map((p) => ({ o: p.organizationId, i: p.id })))}::jsonb) as p(o text, i text)
        on s.parent_organization_id = p.o and s.parent_session_id = p.i
      where s.termination_id is null order by s.organization_id, s.id for update of s`,
  );
  await endEach(transaction, children);
}

/** What a termination ends whose sessions may be parents; its fence and `keptSessionIds` bound the scopes `user` and `organization`. */
export interface EndedParents {
  id: string;
  organizationId: string;
  scopeKind: TerminationScopeKind;
  scopeId: string;
  keptSessionIds: readonly string[];
}

const CHILDREN_A_ROUND = 100;

/**
 * The same for the parents that a termination ends, also those without a row here, as `session_states` judges them.
 * True: there may be more.
 */
export async function endSupportSessionsUnder(transaction: Transaction, ended: EndedParents): Promise<boolean> {
  if (ended.scopeKind === 'grant') return false;
  const covered =
    ended.scopeKind === 'session'
      ? sql`s.parent_session_id = ${ended.scopeId}`
      : sql`exists (select from terminations t where t.id = ${ended.id}::uuid and ${fenceCovers(undefined, ofParent)}) and s.parent_session_id <> all (${[...ended.keptSessionIds]}::text[])
          and ${ended.scopeKind === 'user' ? sql`s.user_id = ${ended.scopeId}` : sql`true`}`;
  const children = await rows<{ organization_id: string; id: string }>(
    transaction,
    sql`select s.organization_id, s.id from sessions s left join sessions p on p.organization_id = s.parent_organization_id and p.id = s.parent_session_id
      where (p.user_id is null or p.user_id = s.user_id) and s.parent_organization_id = ${ended.organizationId} and s.parent_session_id is not null and s.termination_id is null and ${covered}
      order by s.organization_id, s.id limit ${CHILDREN_A_ROUND} for update of s`,
  );
  await endEach(transaction, children);
  return children.length === CHILDREN_A_ROUND;
}

async function endEach(
  transaction: Transaction,
  children: readonly { organization_id: string; id: string }[],
): Promise<void> {
  for (const child of children) {
    const { id } = await insertTermination(transaction, {
      organizationId: child.organization_id,
      scope: { kind: 'session', id: child.id },
      fenceOf: null,
      keptSessionIds: [],
      requestedBy: systemActor,
      reason: null,
      dispatchInMs: 0,
    });
    await claimSession(transaction, id, child.organization_id, child.id);
  }
}
