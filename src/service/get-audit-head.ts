import { sql } from 'kysely';
import { type Database, row } from '../database.ts';
import { notFound } from '../errors.ts';
import type { AuditSigner } from '../signing/audit-signer.ts';
import type { SessionManagementService } from './index.ts';
import { toInstant } from './instants.ts';
import { requireLiveGrant } from './live-grant.ts';

export interface AuditHeadReading {
  database: Database;
  signer: AuditSigner | undefined;
}

/** The head as it was signed last, at most a minute behind the chain. */
export const createGetAuditHead =
  ({ database, signer }: AuditHeadReading): SessionManagementService['getAuditHead'] =>
  async (context) => {
    await requireLiveGrant(database.pool, context);
    const head = await row<{ sequence: string; hash: string; at: string; jws: string }>(
      database.pool,
      sql`select sequence, hash, at, jws from audit_heads where organization_id = ${context.organizationId} and jws is not null`,
    );
    if (signer === undefined || head === undefined) throw notFound();
    const { sequence, hash, at, jws } = head;
    return { organizationId: context.organizationId, sequence: Number(sequence), hash, at: toInstant(at), jws };
  };
