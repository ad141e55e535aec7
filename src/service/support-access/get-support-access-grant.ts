import type { Database, Queryable } from '../../database.ts';
import { notFound } from '../../errors.ts';
import { isUuid } from '../../rules/identifier.ts';
import type { GrantView } from '../../rules/support-access-grant.ts';
import type { SessionManagementService } from '../index.ts';
import { requireLiveGrant } from '../live-grant.ts';
import { pageOf } from '../pages.ts';
import { grantView, readGrant, readGrants } from './grant-view.ts';

/** A grant as it is now. Throws `not-found` for an id that is foreign, malformed or absent, or whose grant never came alive. */
export const createGetSupportAccessGrant =
  ({ database }: { database: Database }): SessionManagementService['getSupportAccessGrant'] =>
  async (grantId, context) => {
    await requireLiveGrant(database.pool, context);
    return showGrant(database.pool, context.organizationId, grantId);
  };

/** The organization's grants, live and past, newest first. */
export const createListSupportAccessGrants =
  ({ database }: { database: Database }): SessionManagementService['listSupportAccessGrants'] =>
  async (context, { limit = 50, after = null } = {}) => {
    await requireLiveGrant(database.pool, context);
    const found = await readGrants(database.pool, context.organizationId, after, limit + 1);
    return pageOf(found, limit, (r) => ({ at: null, id: r.id }), grantView);
  };

/** The same without asking who asks: for the answer to a decision that may have ended the asker's own right. */
export async function showGrant(db: Queryable, organizationId: string, grantId: string): Promise<GrantView> {
  const found = isUuid(grantId) ? await readGrant(db, organizationId, grantId) : undefined;
  if (found === undefined) throw notFound();
  return grantView(found);
}
