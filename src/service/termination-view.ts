import { sql } from 'kysely';
import { type Queryable, row } from '../database.ts';
import {
  type ErrorClass,
  type RecordedActor,
  shownActor,
  stalledAfterSeconds,
  type TerminationScopeKind,
  type TerminationStatus,
  type TerminationView,
} from '../rules/termination.ts';
import { toInstant, toInstantOrNull } from './instants.ts';

export interface TerminationRow {
  id: string;
  organization_id: string;
  scope_kind: TerminationScopeKind;
  scope_id: string;
  status: TerminationStatus;
  revision: number;
  cutoff: string;
  requested_at: string;
  requested_by: RecordedActor;
  reason: string | null;
  kept_session_ids: string[];
  sessions_total: number;
  sessions_pending: number;
  chains_total: number;
  chains_confirmed: number;
  chains_already_dead: number;
  chains_pending: number;
  attempts: number;
  last_error_class: ErrorClass | null;
  last_outcome_at: string | null;
  stalled: boolean;
  completed_at: string | null;
  verified_at: string | null;
}

/** Every column that the resource shows, and the revision; `stalled` is read by the clock. */
export const terminationColumns =
  sql.raw(`id, organization_id, scope_kind, scope_id, status, revision, cutoff, requested_at, requested_by, reason, kept_session_ids,
  sessions_total, sessions_pending, chains_total, chains_confirmed, chains_already_dead, chains_pending, attempts, last_error_class,
  last_outcome_at, completed_at, verified_at,
  (status = 'running' and progress_at < current_instant() - interval '${stalledAfterSeconds} seconds') as stalled`);

export const readTermination = (
  db: Queryable,
  organizationId: string,
  id: string,
): Promise<TerminationRow | undefined> =>
  row<TerminationRow>(
    db,
    sql`select ${terminationColumns} from terminations where organization_id = ${organizationId} and id = ${id}::uuid`,
  );

/** `accessEndsBy`: the later of cutoff and last outcome, plus the life of an access token issued until then; null while anything is pending. */
export function terminationView(r: TerminationRow, accessTokenTtlSeconds: number): TerminationView {
  const lastTokenAt = Math.max(
    Date.parse(toInstant(r.cutoff)),
    r.last_outcome_at === null ? 0 : Date.parse(toInstant(r.last_outcome_at)),
  );
  return {
    id: r.id,
    organizationId: r.organization_id,
    scope: { kind: r.scope_kind, id: r.scope_id },
    status: r.status,
    cutoff: toInstant(r.cutoff),
    requestedAt: toInstant(r.requested_at),
    requestedBy: shownActor(r.requested_by),
    reason: r.reason,
    keptSessionIds: r.kept_session_ids,
    sessions: { total: r.sessions_total, pending: r.sessions_pending },
    chains: {
      total: r.chains_total,
      confirmed: r.chains_confirmed,
      alreadyDead: r.chains_already_dead,
      pending: r.chains_pending,
    },
    attempts: r.attempts,
    lastErrorClass: r.last_error_class,
    stalled: r.stalled,
    completedAt: toInstantOrNull(r.completed_at),
    verifiedAt: toInstantOrNull(r.verified_at),
    accessEndsBy: r.status === 'running' ? null : new Date(lastTokenAt + accessTokenTtlSeconds * 1_000).toISOString(),
  };
}
