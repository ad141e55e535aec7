import { type RawBuilder, sql } from 'kysely';
import type { PagePosition } from './index.ts';

const LAST_UUID = 'ffffffff-ffff-ffff-ffff-ffffffffffff';

interface NewestById {
  /** The condition: rows of this organization alone, strictly after the position. */
  where: RawBuilder<unknown>;
  orderBy: RawBuilder<unknown>;
}

/**
 * An organization's rows by id, newest first, as a range of the index (organization, id). Not by `organization_id = …`:
 * any index on the id then gives the same order, and where PostgreSQL takes that one, an organization with few rows
 * waits while everybody's are passed over.
 */
export function newestById(table: 't' | 'g', organizationId: string, after: PagePosition | null): NewestById {
  const [organization, id] = [sql.ref(`${table}.organization_id`), sql.ref(`${table}.id`)];
  return {
    where: sql`${organization} >= ${organizationId} and (${organization}, ${id}) < (${organizationId}, ${after?.id ?? LAST_UUID}::uuid)`,
    orderBy: sql`${organization} desc, ${id} desc`,
  };
}
