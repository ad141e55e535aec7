import { sql } from 'kysely';
import { type Database, rows } from '../database.ts';
import type { AdminContext } from '../rules/access.ts';
import type { AuditAction, AuditEventView, AuditSubject } from '../rules/audit.ts';
import type { Actor } from '../rules/termination.ts';
import type { AuditFilter, PagePosition, SessionManagementService } from './index.ts';
import { toInstant } from './instants.ts';
import { requireLiveGrant } from './live-grant.ts';
import { pageOf } from './pages.ts';

interface AuditRow {
  id: string;
  at: string;
  action: AuditAction;
  actor: Actor;
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
    return pageOf(found, limit, (r) => ({ at: null, id: r.id }), view);
  };

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
      after = { at: null, id: last.id };
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
  const where = [
    sql`e.organization_id = ${context.organizationId}`,
    ...(filter.action === undefined ? [] : [sql`e.action = ${filter.action}`]),
    ...(filter.actorId === undefined ? [] : [sql`e.actor ->> 'id' = ${filter.actorId}`]),
    ...(filter.subjectId === undefined ? [] : [sql`e.subject_id = ${filter.subjectId}`]),
    ...(filter.from === undefined ? [] : [sql`e.at >= ${filter.from}::timestamptz`]),
    ...(filter.to === undefined ? [] : [sql`e.at < ${filter.to}::timestamptz`]),
    ...(after === null ? [] : [sql`e.id < ${after.id}::uuid`]),
  ];
  return rows<AuditRow>(
    database.pool,
    sql`select e.id, e.at, e.action, e.actor, e.subject_kind, e.subject_id, e.reason, e.details, s.hash, s.previous_hash
      from audit_events e left join audit_seals s on s.audit_event_id = e.id
      where ${sql.join(where, sql` and `)} order by e.id desc limit ${count}`,
  );
}

const view = (r: AuditRow): AuditEventView => ({
  id: r.id,
  at: toInstant(r.at),
  action: r.action,
  actor: r.actor,
  subject: { kind: r.subject_kind, id: r.subject_id },
  reason: r.reason,
  details: r.details,
  hash: r.hash,
  previousHash: r.previous_hash,
});
