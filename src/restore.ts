/** `npm run migrate -- --restored`: what has to be decided when the database came back from a backup. */
import { sql } from 'kysely';
import { type Database, openDatabase, rows } from './database.ts';
import { type DatabaseAddress, directAddress } from './database/address.ts';
import { insertTermination } from './service/insert-termination.ts';
import { lockGrants, lockScope } from './service/locks.ts';
import { systemActor } from './service/record-audit.ts';
import { revokeGrants, voidGrants } from './service/support-access/decide-grants.ts';

export interface Restored {
  organizations: number;
  grantsRevoked: number;
  grantsVoided: number;
  /** One for each organization. */
  terminationIds: string[];
}

const reason = 'The database was restored from a backup.';

/**
 * Between the backup and now, sessions were ended and grants revoked of which this database knows nothing. So every live
 * grant ends, what was being created never comes alive, and everything that started or was recorded before now is
 * fenced: the sweep then finds at the Auth Module also what this database has no row of. Each organization is one
 * transaction; a repeat only adds a later fence. Throws where the schema is not up to date, having changed nothing.
 */
export async function markRestored(address: DatabaseAddress): Promise<Restored> {
  const database = await openDatabase({
    ...directAddress(address),
    applicationName: 'session-management-restore',
    statementTimeoutMs: 0,
  });
  try {
    const pending = await database.orm.migrator.getPending();
    if (pending.length > 0)
      throw new Error(
        `The schema is not up to date (${pending.length} to apply): run "npm run migrate" first, then this again.`,
      );
    const organizations = await rows<{ id: string }>(database.pool, sql`select id from organizations order by id`);
    const restored: Restored = {
      organizations: organizations.length,
      grantsRevoked: 0,
      grantsVoided: 0,
      terminationIds: [],
    };
    for (const { id } of organizations) await endEverything(database, id, restored);
    return restored;
  } finally {
    await database.close();
  }
}

const endEverything = (database: Database, organizationId: string, restored: Restored): Promise<void> =>
  database.transaction(async (transaction) => {
    const mine = sql`organization_id = ${organizationId}`;
    const scope = { kind: 'organization', id: organizationId } as const;
    await lockGrants(transaction, organizationId);
    const voided = await voidGrants(transaction, mine);
    const revoked = await revokeGrants(transaction, mine, { actor: systemActor, reason, delivered: false });
    await lockScope(transaction, organizationId, scope);
    const termination = await insertTermination(transaction, {
      organizationId,
      scope,
      fenceOf: null,
      keptSessionIds: [],
      requestedBy: systemActor,
      reason,
      dispatchInMs: 0,
    });
    restored.grantsVoided += voided;
    restored.grantsRevoked += revoked.length;
    restored.terminationIds.push(termination.id);
  });

export const describeRestored = ({ organizations, grantsRevoked, grantsVoided, terminationIds }: Restored): string =>
  [
    `Organizations: ${organizations}. Grants revoked: ${grantsRevoked}; being created, and voided: ${grantsVoided}.`,
    `Everything that started or was recorded before now is ended. Terminations: ${terminationIds.length}.`,
    ...terminationIds.map((id) => `  termination ${id}`),
  ].join('\n');
