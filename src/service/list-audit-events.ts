import { sql } from 'kysely';
import type { Database } from '../database.ts';
import type { AdminContext } from '../rules/access.ts';
import type { AuditAction, AuditEventView, AuditSubject } from '../rules/audit.ts';
import { type RecordedActor, shownActor } from '../rules/termination.ts';
import { rangeOf } from './audit-range.ts';
import type { AuditFilter, PagePosition, SessionManagementService } from './index.ts';
import { toInstant } from './instants.ts';
import { listRows } from './list-rows.ts';
import { requireLiveGrant } from './live-grant.ts';
import { pageOf } from './pages.ts';

interface AuditRow {
  id: string;
  at: string;
  action: AuditAction;
  actor: RecordedActor;
  subject_kind: AuditSubject['kind'];
  subject_id: string;
  reason: string | null;
  details: Record<string, unknown>;
  hash: string | null;
  previous_hash: string | null;
}

/** The organization's audit, newest first. */
export const createListAuditEvents =
  ({ database }: { database: Database }): SessionManagementService['listAuditEvents'] =>
  async (context, { limit = 50, after = null, ...filter } = {}) => {
    const found = await read(database, context, filter, after, limit + 1);
    return pageOf(found, limit, placeOf, view);
  };

/** Instant and id never change, and the instant is what a caller bounds: one index orders the list and holds the range. */
const placeOf = ({ at, id }: AuditRow): PagePosition => ({ at: toInstant(at), id });

const EXPORT_PAGE = 500;

/** The same without end, a bounded page at a time; the caller's right is asked again for each. */
export const createExportAuditEvents = ({
  database,
}: {
  database: Database;
}): SessionManagementService['exportAuditEvents'] =>
  async function* exportAuditEvents(context, filter, signal) {
    let after: PagePosition | null = null;
    while (!signal.aborted) {
      const found: AuditRow[] = await read(database, context, filter, after, EXPORT_PAGE);
      for (const event of found) yield view(event);
      const last = found.at(-1);
      if (last === undefined || found.length < EXPORT_PAGE) return;
      after = placeOf(last);
    }
  };

async function read(
  database: Database,
  context: AdminContext,
  filter: AuditFilter,
  after: PagePosition | null,
  count: number,
): Promise<AuditRow[]> {
  await requireLiveGrant(database.pool, context);
  const { where, orderBy } = rangeOf(context.organizationId, filter, after);
  return listRows<AuditRow>(
    database.pool,
    sql`select e.id, e.at, e.action, e.actor, e.subject_kind, e.subject_id, e.reason, e.details, s.hash, s.previous_hash
      from audit_events e left join audit_seals s on s.audit_event_id = e.id
      where ${where} order by ${orderBy} limit ${count}`,
  );
}

const view = (r: AuditRow): AuditEventView => ({
  id: r.id,
  at: toInstant(r.at),
  action: r.action,
  actor: shownActor(r.actor),
  subject: { kind: r.subject_kind, id: r.subject_id },
  reason: r.reason,
  details: r.actor.issuer === undefined ? r.details : { ...r.details, issuer: r.actor.issuer },
  hash: r.hash,
  previousHash: r.previous_hash,
});
