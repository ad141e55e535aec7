import { type RawBuilder, sql } from 'kysely';
import { type Database, rows, type Transaction } from '../../database.ts';
import type { TerminationScopeKind } from '../../rules/termination.ts';
import { fenceCovers, ofParent } from '../fence.ts';
import { claimSession, insertTermination } from '../insert-termination.ts';
import { systemActor } from '../record-audit.ts';

/** A session that ended, whose own support sessions end with it: the same user's, and nobody else's. */
export interface EndedParent {
  organizationId: string;
  id: string;
  userId: string;
}

const CHILDREN_A_ROUND = 100;

/**
 * When a staff member's own session ends here, the support sessions opened from it end, in every organization: each by
 * a termination of its own, so many in a transaction. (Every read knows it already, by `session_states`; this makes it
 * true at the Auth Module.)
 */
export async function endSupportSessionsOf(database: Database, parents: readonly EndedParent[]): Promise<void> {
  if (parents.length === 0) return;
  const of = JSON.stringify(parents.map((p) => ({ o: p.organizationId, i: p.id, u: p.userId })));
  const children = sql`from sessions s
    join (select distinct o, i, u from jsonb_to_recordset(${of}::jsonb) as told(o text, i text, u text)) p
      on s.parent_organization_id = p.o and s.parent_session_id = p.i and s.user_id = p.u
    where s.termination_id is null`;
  // hardly anybody who signs out has any
  if ((await rows(database.pool, sql`select ${children} limit 1`)).length === 0) return;
  const round = (transaction: Transaction) =>
    endRound(
      transaction,
      sql`select s.organization_id, s.id ${children} order by s.organization_id, s.id limit ${CHILDREN_A_ROUND} for update of s`,
    );
  while (await database.transaction(round));
}

/** What a termination ends whose sessions may be parents; its fence and `keptSessionIds` bound the scopes `user` and `organization`. */
export interface EndedParents {
  id: string;
  organizationId: string;
  scopeKind: TerminationScopeKind;
  scopeId: string;
  keptSessionIds: readonly string[];
}

/**
 * The same, one round, for the parents that a termination ends, also those without a row here, as `session_states` judges them.
 * True: there may be more.
 */
export async function endSupportSessionsUnder(transaction: Transaction, ended: EndedParents): Promise<boolean> {
  if (ended.scopeKind === 'grant') return false;
  const covered =
    ended.scopeKind === 'session'
      ? sql`s.parent_session_id = ${ended.scopeId}`
      : sql`exists (select from terminations t where t.id = ${ended.id}::uuid and ${fenceCovers(undefined, ofParent)}) and s.parent_session_id <> all (${[...ended.keptSessionIds]}::text[])
          and ${ended.scopeKind === 'user' ? sql`s.user_id = ${ended.scopeId}` : sql`true`}`;
  return endRound(
    transaction,
    sql`select s.organization_id, s.id from sessions s left join sessions p on p.organization_id = s.parent_organization_id and p.id = s.parent_session_id
      where s.parent_organization_id = ${ended.organizationId} and s.parent_session_id is not null and s.termination_id is null
        and coalesce(p.user_id, s.user_id) = s.user_id and ${covered}
      order by s.organization_id, s.id limit ${CHILDREN_A_ROUND} for update of s`,
  );
}

/** True: there may be more. */
async function endRound(transaction: Transaction, which: RawBuilder<ChildRow>): Promise<boolean> {
  const children = await rows<ChildRow>(transaction, which);
  await endEach(transaction, children);
  return children.length === CHILDREN_A_ROUND;
}

interface ChildRow {
  organization_id: string;
  id: string;
}

async function endEach(transaction: Transaction, children: readonly ChildRow[]): Promise<void> {
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
