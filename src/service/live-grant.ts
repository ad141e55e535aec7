import { sql } from 'kysely';
import { row, type Queryable, type Transaction } from '../database.ts';
import { ServiceError } from '../errors.ts';
import type { AdminContext } from '../rules/access.ts';

/** A grant is live by the clock alone; no timer, cache or workflow is consulted. */
export const grantIsLive = sql.raw<boolean>(
  'starts_at <= current_instant() and access_ended_at is null and expires_at > current_instant()',
);

const refused = () =>
  new ServiceError(
    'support-access-required',
    'This organization has not allowed support access for you, or no longer does.',
  );

/** A Global Admin's right, asked again for a read or a stream. Others pass. */
export async function requireLiveGrant(db: Queryable, context: AdminContext): Promise<void> {
  if (context.kind !== 'global-admin') return;
  const live = await row(
    db,
    sql`select 1 from support_access_grants where id = ${context.supportAccessGrantId} and organization_id = ${context.organizationId} and ${grantIsLive}`,
  );
  if (live === undefined) throw refused();
}

/**
 * The same inside a write's own transaction: the grant's row stays locked, so a revocation either comes first and is
 * seen here, or waits until this write is committed.
 */
export async function holdLiveGrant(transaction: Transaction, context: AdminContext): Promise<void> {
  if (context.kind !== 'global-admin') return;
  await row(transaction, sql`select 1 from support_access_grants where id = ${context.supportAccessGrantId} for share`);
  await requireLiveGrant(transaction, context);
}
