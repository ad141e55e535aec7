/** What this service has in its books about an ended grant, and the writes of its clean-up. */
import { sql } from 'kysely';
import { type Database, row, rows, type Transaction } from '../../database.ts';
import type { RecordedActor, TerminationScope } from '../../rules/termination.ts';
import { lockScope } from '../../service/locks.ts';
import { insertTermination } from '../../service/insert-termination.ts';
import { systemActor } from '../../service/record-audit.ts';

export interface GrantBooks {
  id: string;
  organizationId: string;
  endedBy: RecordedActor | null;
  /** Sessions that no termination has. */
  unclaimed: number;
  /** Sessions that some termination has, and that are not confirmed dead with all their chains. */
  pending: number;
  /** A termination of scope `grant` runs. */
  isTerminating: boolean;
  clearedMsAgo: number | null;
}

/** Undefined for a grant that is absent, or that is not over. */
export const readBooks = (database: Database, grantId: string): Promise<GrantBooks | undefined> =>
  row<GrantBooks>(
    database.pool,
    sql`select g.id, g.organization_id as "organizationId", g.ended_by as "endedBy", s.unclaimed::int, s.pending::int,
        (extract(epoch from current_instant() - g.sessions_cleared_at) * 1000)::float8 as "clearedMsAgo", ${isTerminating} as "isTerminating"
      from support_access_grants g cross join lateral (
        select count(*) filter (where u.termination_id is null) as unclaimed,
          count(*) filter (where u.sign_in_outcome = 'pending' or u.termination_id is not null and exists (
            select 1 from refresh_token_chains r where r.organization_id = u.organization_id and r.session_id = u.id and r.outcome = 'pending')) as pending
        from sessions u where u.support_access_grant_id = g.id and u.organization_id = g.organization_id
      ) s
      where g.id = ${grantId}::uuid and g.access_ended_at is not null`,
  );

const isTerminating = sql.raw(
  "exists (select 1 from terminations t where t.organization_id = g.organization_id and t.scope_kind = 'grant' and t.scope_id = g.id::text and t.status = 'running')",
);

/** Ends what was opened under the grant, in the name of who ended it, unless a termination of it runs. What was cleared no longer is. */
export async function startTermination(
  database: Database,
  { id, organizationId, endedBy }: GrantBooks,
  lookAgainInMs: number,
): Promise<void> {
  const scope: TerminationScope = { kind: 'grant', id };
  await database.transaction(async (transaction) => {
    await lockScope(transaction, organizationId, scope);
    if (!(await runsNow(transaction, id))) {
      const requestedBy = endedBy ?? systemActor;
      await insertTermination(transaction, {
        organizationId,
        scope,
        fenceOf: null,
        keptSessionIds: [],
        requestedBy,
        reason: null,
        dispatchInMs: 0,
      });
    }
    await rows(
      transaction,
      sql`update support_access_grants set sessions_cleared_at = null, settled_at = null, progress_at = current_instant(), ${looksAgain(lookAgainInMs)} where id = ${id}::uuid`,
    );
  });
}

const runsNow = async (transaction: Transaction, id: string): Promise<boolean> =>
  (
    await row<{ runs: boolean }>(
      transaction,
      sql`select ${isTerminating} as runs from support_access_grants g where g.id = ${id}::uuid`,
    )
  )?.runs === true;

/** By this the dispatcher tells patience from silence; a decision that is not delivered yet keeps its own time. */
const looksAgain = (
  inMs: number,
) => sql`next_look_at = current_instant() + ${inMs} * interval '1 millisecond', dispatch_count = 0,
  dispatch_after = case when delivered_revision < revision then dispatch_after else current_instant() + ${inMs + 60_000} * interval '1 millisecond' end`;

export const recordNextLook = (database: Database, id: string, inMs: number): Promise<unknown> =>
  rows(database.pool, sql`update support_access_grants set ${looksAgain(inMs)} where id = ${id}::uuid`);

/** Every session opened under the grant is confirmed dead, and the Auth Module knows of no chain; with its audit event. */
export const recordCleared = (database: Database, id: string, lookAgainInMs: number): Promise<unknown> =>
  rows(
    database.pool,
    sql`with cleared as (
        update support_access_grants set sessions_cleared_at = current_instant(), progress_at = current_instant(), ${looksAgain(lookAgainInMs)}
        where id = ${id}::uuid and access_ended_at is not null and sessions_cleared_at is null returning *
      )
      insert into audit_events (organization_id, at, action, actor, subject_kind, subject_id, details)
      select organization_id, sessions_cleared_at, 'support-access.cleared', ${JSON.stringify(systemActor)}::jsonb, 'grant', id,
        jsonb_build_object('userId', user_id, 'sessions', (select count(*) from sessions s where s.support_access_grant_id = cleared.id and s.organization_id = cleared.organization_id))
      from cleared`,
  );

/** Nothing came back within the life of an access token: nobody looks again. */
export const recordSettled = (database: Database, id: string): Promise<unknown> =>
  rows(
    database.pool,
    sql`update support_access_grants set settled_at = current_instant() where id = ${id}::uuid and sessions_cleared_at is not null`,
  );
