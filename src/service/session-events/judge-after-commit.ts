import { sql } from 'kysely';
import { type Database, rows, type Transaction } from '../../database.ts';
import type { SessionEndReason } from '../../rules/session.ts';
import type { TerminationScope, TerminationScopeKind } from '../../rules/termination.ts';
import type { Pending } from './index.ts';
import { keyOf } from './stored-sessions.ts';
import { type Rejected, sweepRejected } from './sweep-rejected.ts';

/** A session of the batch that is over, and by what. */
export interface OverSession {
  organization_id: string;
  id: string;
  over_reason: SessionEndReason;
  end_reason: SessionEndReason | null;
  support_access_grant_id: string | null;
  grant_is_known: boolean;
  parent_session_id: string | null;
  scope_kind: TerminationScopeKind | null;
  scope_id: string | null;
  /** The termination that has it, or whose fence covers it. */
  fence_id: string | null;
  kept_session_ids: string[] | null;
  /** A termination has it already, not only a fence. */
  is_claimed: boolean;
  /** It has a chain that no termination has. */
  has_free_chain: boolean;
  /** The termination that has it, or whose fence covers it, still runs. */
  is_running: boolean;
}

/**
 * Reads, after the batch was committed, which of its sessions are over, and rejects the starts, refreshes and chains in
 * them, repeats included. What is rejected is stored as ended and swept.
 */
export async function judgeAfterCommit(database: Database, batch: readonly Pending[]): Promise<void> {
  const asked = batch.filter(({ event, result }) => event.type !== 'session.ended' && result.outcome !== 'rejected');
  if (asked.length === 0) return;
  const over = new Map(
    (await readOver(database, asked)).map((session) => [keyOf(session.organization_id, session.id), session]),
  );
  const rejected = asked.flatMap((pending): Rejected[] => {
    const session = over.get(keyOf(pending.event.organizationId, pending.event.sessionId));
    const reason = session === undefined ? null : rejectionOf(pending, session);
    if (session === undefined || reason === null) return [];
    // a mere repeat of what was rejected and swept before needs no sweep of its own; a first try may have died before that
    const isSwept = pending.result.outcome === 'duplicate' && session.is_claimed && !session.has_free_chain;
    Object.assign(pending.result, { outcome: 'rejected', reason });
    return [
      {
        pending,
        session,
        scope: isSwept ? null : scopeOf(pending, session, reason),
      },
    ];
  });
  if (rejected.length > 0)
    await database.transaction((transaction: Transaction) => sweepRejected(transaction, rejected));
}

const readOver = (database: Database, asked: readonly Pending[]): Promise<OverSession[]> =>
  rows<OverSession>(
    database.pool,
    sql`select s.organization_id, s.id, s.over_reason, s.end_reason, s.support_access_grant_id, s.parent_session_id, t.scope_kind, t.scope_id, t.id as fence_id, t.kept_session_ids, s.termination_id is not null as is_claimed,
        exists (select from refresh_token_chains r where r.organization_id = s.organization_id and r.session_id = s.id and r.termination_id is null) as has_free_chain, coalesce(t.status = 'running', false) as is_running,
        exists (select 1 from support_access_grants g where g.organization_id = s.organization_id and g.id = s.support_access_grant_id and g.starts_at is not null) as grant_is_known
      from session_states s left join terminations t on t.id = s.over_termination_id
      where (s.organization_id, s.id) in (select o, i from jsonb_to_recordset(${JSON.stringify(asked.map(({ event: e }) => ({ o: e.organizationId, i: e.sessionId })))}::jsonb) as w(o text, i text))
        and s.over_at is not null`,
  );

type Reason = 'fenced' | 'support-access-ended' | 'session-ended';

/** Null: a signed-out session's chains may live on, and tell of themselves. */
function rejectionOf({ event, created }: Pending, session: OverSession): Reason | null {
  const isTerminated = session.scope_kind !== null;
  if (!isTerminated && session.end_reason === 'signed-out')
    return event.type === 'session.started' ? 'session-ended' : null;
  if (
    session.support_access_grant_id !== null &&
    (session.scope_kind === 'grant' || session.over_reason === 'support-access-ended')
  )
    return 'support-access-ended';
  return isFenced(session) && (event.type === 'session.started' || created || session.end_reason === 'rejected')
    ? 'fenced'
    : 'session-ended';
}

const isFenced = ({ scope_kind }: OverSession): boolean => scope_kind === 'user' || scope_kind === 'organization';

/**
 * Where a rejected start, chain or refresh is swept: null where nothing can live, as after a sign-out. In a session that
 * a fence's running termination ends or will end it is that one's work, not a termination of its own for each refresh.
 */
function scopeOf({ event }: Pending, session: OverSession, reason: Reason): TerminationScope | null {
  const ofSession: TerminationScope = { kind: 'session', id: event.sessionId };
  if (reason === 'support-access-ended')
    return session.grant_is_known && session.support_access_grant_id !== null
      ? { kind: 'grant', id: session.support_access_grant_id }
      : ofSession;
  const isOfFence = reason === 'fenced' || (isFenced(session) && (session.is_running || !session.is_claimed));
  if (isOfFence && session.scope_kind !== null && session.scope_id !== null)
    return { kind: session.scope_kind, id: session.scope_id };
  return session.scope_kind === null && session.parent_session_id === null ? null : ofSession;
}
