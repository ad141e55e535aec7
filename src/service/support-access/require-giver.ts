import { sql } from 'kysely';
import { row, type Transaction } from '../../database.ts';
import { ServiceError } from '../../errors.ts';
import type { AdminContext } from '../../rules/access.ts';

/**
 * Support access is given by the organization's own people, in a session of their own, and by its machines: never by a
 * Global Admin and never through a support session, whatever its token says.
 */
export async function requireGiver(transaction: Transaction, context: AdminContext): Promise<void> {
  if (context.kind === 'machine') return;
  const isOwn = context.kind === 'org-admin' && context.sessionId !== null && context.supportAccessGrantId === null;
  if (!isOwn || (await isSupportSession(transaction, context))) {
    throw new ServiceError(
      'support-access-required',
      'Only an administrator of the organization, in a session of their own, gives support access.',
    );
  }
}

const isSupportSession = async (
  transaction: Transaction,
  { organizationId, sessionId }: AdminContext,
): Promise<boolean> =>
  (await row(
    transaction,
    sql`select 1 from sessions where organization_id = ${organizationId} and id = ${sessionId} and support_access_grant_id is not null`,
  )) !== undefined;
