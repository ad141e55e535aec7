import { type RawBuilder, sql } from 'kysely';
import type { AuditFilter, PagePosition } from './index.ts';

const FIRST_UUID = '00000000-0000-0000-0000-000000000000';

/** An index of the audit each, narrowest first: its column, and the filter that it holds. */
const indexed = [
  { column: sql.raw('e.subject_id'), of: (filter: AuditFilter) => filter.subjectId },
  { column: sql.raw("(e.actor ->> 'id')"), of: (filter: AuditFilter) => filter.actorId },
  { column: sql.raw('e.action'), of: (filter: AuditFilter) => filter.action },
];

/**
 * An organization's audit events `e`, newest first, as one range of one index: from the position, or `to`, down to `from`.
 * The range is said as rows of the index's own columns, by which the order is, too: with equalities PostgreSQL may take
 * another index that gives the order, and pass over a million events of others. Filters beside the first only filter.
 */
export function rangeOf(
  organizationId: string,
  filter: AuditFilter,
  after: PagePosition | null,
): { where: RawBuilder<unknown>; orderBy: RawBuilder<unknown> } {
  const [first, ...others] = indexed.flatMap(({ column, of }) => {
    const value = of(filter);
    return value === undefined ? [] : [{ column, value }];
  });
  const columns = [sql.raw('e.organization_id'), ...(first === undefined ? [] : [first.column])];
  const values = [sql`${organizationId}`, ...(first === undefined ? [] : [sql`${first.value}`])];
  const row = (parts: readonly RawBuilder<unknown>[]) => sql`(${sql.join(parts)})`;
  const [at, id] = [sql.raw('e.at'), sql.raw('e.id')];
  const from = sql`${filter.from ?? '-infinity'}::timestamptz`;
  return {
    where: sql.join(
      [
        sql`${row([...columns, at])} >= ${row([...values, from])}`,
        sql`${row([...columns, at, id])} < ${row([...values, ...upTo(filter, after)])}`,
        ...others.map(({ column, value }) => sql`${column} = ${value}`),
      ],
      sql` and `,
    ),
    orderBy: sql.join([...columns, at, id].map((column) => sql`${column} desc`)),
  };
}

/** Strictly before this instant and id. A position lies within the range that its list was asked for; one that the previous version made has no instant. */
function upTo({ to = 'infinity' }: AuditFilter, after: PagePosition | null): RawBuilder<unknown>[] {
  if (after === null) return [sql`${to}::timestamptz`, sql`${FIRST_UUID}::uuid`];
  const at =
    after.at === null ? sql`(select at from audit_events where id = ${after.id}::uuid)` : sql`${after.at}::timestamptz`;
  return [at, sql`${after.id}::uuid`];
}
