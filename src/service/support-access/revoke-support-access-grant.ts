import { sql } from 'kysely';
import { type Database, row } from '../../database.ts';
import { notFound } from '../../errors.ts';
import { actorOf } from '../../rules/access.ts';
import { isUuid } from '../../rules/identifier.ts';
import { authorizeDecision } from '../authorize-decision.ts';
import type { SessionManagementService } from '../index.ts';
import { wakeDispatcher } from '../insert-termination.ts';
import { expireGrants, longExpired, revokeGrants } from './decide-grants.ts';
import { showGrant } from './get-support-access-grant.ts';

/**
 * Ends a grant now: from the commit on nobody is let in by it. Needs neither the workflow engine nor the Auth Module; a
 * dispatcher tells the grant's workflow. A grant that is marked ended already is answered as it is.
 */
export const createRevokeSupportAccessGrant =
  ({ database }: { database: Database }): SessionManagementService['revokeSupportAccessGrant'] =>
  async (grantId, context, { reason = null, onDecided } = {}) => {
    const { organizationId } = context;
    if (!isUuid(grantId)) throw notFound();
    const which = sql`organization_id = ${organizationId} and id = ${grantId}::uuid`;
    await database.transaction(async (transaction) => {
      await authorizeDecision(transaction, context, { grants: true });
      const found = await row(
        transaction,
        sql`select 1 from support_access_grants where ${which} and starts_at is not null`,
      );
      if (found === undefined) throw notFound();
      await expireGrants(transaction, sql`${which} and ${longExpired}`);
      const revoked = await revokeGrants(transaction, which, { actor: actorOf(context), reason, delivered: false });
      if (revoked.length > 0) wakeDispatcher(transaction);
      await onDecided?.(transaction, { kind: 'grant', id: grantId });
    });
    return showGrant(database.pool, organizationId, grantId);
  };
