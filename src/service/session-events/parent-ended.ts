import { sql } from 'kysely';
import { rows, type Transaction } from '../../database.ts';
import { claimSession, insertTermination } from '../insert-termination.ts';
import { systemActor } from '../record-audit.ts';

/**
 * When a staff member's own session ends here, the support sessions opened from it end, in every organization: each by
 * a termination of its own. (Every read knows it already, by `session_states`; this makes it true at the Auth Module.)
 */
export async function endSupportSessionsOf(transaction: Transaction, parents: readonly { organizationId: string; id: string }[]): Promise<void> {
  if (parents.length === 0) return;
  const children = await rows<{ organization_id: string; id: string }>(
    transaction,
    sql`select s.organization_id, s.id from sessions s
      join jsonb_to_recordset(${JSON.stringify(parents.map((p) => ({ o: p.organizationId, i: p.id })))}::jsonb) as p(o text, i text)
        on s.parent_organization_id = p.o and s.parent_session_id = p.i
      where s.termination_id is null order by s.organization_id, s.id for update of s`,
  );
  for (const child of children) {
    const terminationId = await insertTermination(transaction, {
      organizationId: child.organization_id,
      scope: { kind: 'session', id: child.id },
      cutoff: null,
      keptSessionIds: [],
      requestedBy: systemActor,
      reason: null,
      dispatchInMs: 0,
    });
    await claimSession(transaction, terminationId, child.organization_id, child.id);
  }
}
