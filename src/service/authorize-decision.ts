import { type RawBuilder, sql } from 'kysely';
import { row, rows, type Transaction } from '../database.ts';
import { type AdminContext, decidePersonAccess } from '../rules/access.ts';
import type { TerminationScope } from '../rules/termination.ts';
import { accessRefusal } from './access-refusal.ts';
import { holdLiveGrant } from './live-grant.ts';
import { endingsOf, grantsName, type NamedLock, scopeName, takeLocks } from './locks.ts';
import { readCallerFacts } from './read-caller-facts.ts';

/** What a decision is about, and so must not change under it until its transaction ends. */
export interface DecisionSubject {
  /** Decisions about one scope come one after the other. */
  scope?: TerminationScope;
  /** So do those about the grants of the caller's organization. */
  grants?: boolean;
  /** A session of the caller's organization, which is locked where it exists. */
  sessionId?: string;
}

/**
 * Judges the caller again inside the decision's own transaction, under locks that order it against every ending of that
 * caller: an ending that committed earlier is seen and refuses the decision, a later one waits until the decision has
 * committed. Locks the decision's subject in the same breath. Clocks are read after this, never before.
 * Throws what the first judgement throws: `session-ended`, `support-access-required` and the like.
 */
export async function authorizeDecision(
  transaction: Transaction,
  context: AdminContext,
  subject: DecisionSubject = {},
): Promise<void> {
  await takeLocks(transaction, [...callerLocks(context), ...subjectLocks(context, subject)]);
  await lockSessions(transaction, context, subject.sessionId);
  if (context.kind === 'machine') return;
  if (context.kind === 'global-admin') await lockParent(transaction, context);
  await holdLiveGrant(transaction, context);
  const { claims, operation, organizationId } = context;
  const facts = await readCallerFacts(transaction, claims, organizationId);
  const decision = decidePersonAccess(claims, facts, operation, organizationId);
  if (!decision.allowed) throw accessRefusal(decision.code);
  // the row that makes an administrator's session a support session may have come after the first judgement
  if (decision.context.kind !== context.kind) throw accessRefusal('support-access-required');
}

/** The caller's session may be one of the organization that the token names, or a support session of the one that is asked for. */
const callerLocks = ({ kind, claims, organizationId }: AdminContext): NamedLock[] =>
  kind === 'machine'
    ? []
    : homes(claims.organizationId, organizationId).flatMap((home) => endingsOf(home, claims.subject));

const homes = (tokenOrganizationId: string | null, organizationId: string) => [
  ...new Set([tokenOrganizationId ?? organizationId, organizationId]),
];

const subjectLocks = ({ organizationId }: AdminContext, { scope, grants = false }: DecisionSubject): NamedLock[] => [
  ...(scope === undefined ? [] : [{ name: scopeName(organizationId, scope), shared: false }]),
  ...(grants ? [{ name: grantsName(organizationId), shared: false }] : []),
];

/**
 * The caller's own session stays as it is until the transaction ends, and the one that is decided about is this
 * decision's. In the order of their ids: two who end each other must not wait for each other.
 */
async function lockSessions(
  transaction: Transaction,
  context: AdminContext,
  targetId: string | undefined,
): Promise<void> {
  const { kind, sessionId, organizationId, claims } = context;
  const own = kind === 'machine' || sessionId === null ? [] : [{ id: sessionId, lock: () => lockOwn(sessionId) }];
  const target = targetId === undefined ? [] : [{ id: targetId, lock: () => lockTarget(targetId) }];
  for (const { lock } of [...own, ...target].toSorted((a, b) => (a.id < b.id ? -1 : 1))) await lock();

  function lockOwn(id: string) {
    return rows(
      transaction,
      sql`select 1 from sessions where organization_id = any (${homes(claims.organizationId, organizationId)}::text[]) and id = ${id}
        order by organization_id for share`,
    );
  }
  function lockTarget(id: string) {
    return rows(transaction, sql`select 1 from sessions where ${sessionIs(organizationId, id)} for update`);
  }
}

/** A support session ends with the staff member's own session that it was opened from, wherever that is. */
async function lockParent(
  transaction: Transaction,
  { organizationId, sessionId, actorId }: AdminContext,
): Promise<void> {
  const parent = await row<{ organization_id: string; id: string }>(
    transaction,
    sql`select parent_organization_id as organization_id, parent_session_id as id from sessions
      where ${sessionIs(organizationId, sessionId)} and parent_session_id is not null`,
  );
  if (parent === undefined) return;
  await takeLocks(transaction, endingsOf(parent.organization_id, actorId));
  await rows(transaction, sql`select 1 from sessions where ${sessionIs(parent.organization_id, parent.id)} for share`);
}

const sessionIs = (organizationId: string, id: string | null): RawBuilder<boolean> =>
  sql`organization_id = ${organizationId} and id = ${id}`;
