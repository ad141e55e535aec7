import { sql } from 'kysely';
import { type Queryable, row } from '../database.ts';
import { notFound, ServiceError } from '../errors.ts';
import { isUuid } from '../rules/identifier.ts';
import type { TerminationReceipt, TerminationView } from '../rules/termination.ts';
import type { AuditSigner } from '../signing/audit-signer.ts';
import type { TerminationReading } from './get-termination.ts';
import type { SessionManagementService } from './index.ts';
import { requireLiveGrant } from './live-grant.ts';
import { readTermination, terminationView } from './termination-view.ts';

export interface ReceiptOptions extends TerminationReading {
  signer: AuditSigner | undefined;
}

/**
 * Signed when it is asked for, with the place of the outcome in the audit's chain: the event of its last completion, which
 * is the one that was verified. Until that event is sealed it has no place, and there is no receipt.
 */
export const createGetTerminationReceipt =
  ({ database, accessTokenTtlSeconds, signer }: ReceiptOptions): SessionManagementService['getTerminationReceipt'] =>
  async (terminationId, context) => {
    await requireLiveGrant(database.pool, context);
    const found = isUuid(terminationId)
      ? await readTermination(database.pool, context.organizationId, terminationId)
      : undefined;
    if (signer === undefined || found === undefined) throw notFound();
    const termination = terminationView(found, accessTokenTtlSeconds);
    const { completedAt, verifiedAt } = termination;
    if (completedAt === null || verifiedAt === null) throw notVerifiedYet('It is not verified yet.');
    const audit = await sealOfOutcome(database.pool, termination, completedAt);
    if (audit === undefined) throw notVerifiedYet('It is verified; its audit event is not sealed yet.');
    const receipt = receiptOf(termination, { completedAt, verifiedAt, audit });
    return { ...receipt, jws: await signer.sign('termination-receipt', receipt) };
  };

const notVerifiedYet = (message: string) => new ServiceError('not-verified-yet', message);

const receiptOf = (
  { id, organizationId, scope, cutoff, requestedAt, requestedBy, sessions, chains }: TerminationView,
  { completedAt, verifiedAt, audit }: Pick<TerminationReceipt, 'completedAt' | 'verifiedAt' | 'audit'>,
): Omit<TerminationReceipt, 'jws'> => ({
  terminationId: id,
  organizationId,
  scope,
  cutoff,
  requestedAt,
  requestedBy,
  completedAt,
  verifiedAt,
  sessions,
  chains,
  audit,
});

/** One statement writes the completion and its event, with one instant: by it the event is found. */
async function sealOfOutcome(
  db: Queryable,
  { id, organizationId }: TerminationView,
  completedAt: string,
): Promise<TerminationReceipt['audit'] | undefined> {
  const seal = await row<{ sequence: string; hash: string }>(
    db,
    sql`select s.sequence, s.hash from audit_events e join audit_seals s on s.audit_event_id = e.id
      where e.organization_id = ${organizationId} and e.action = 'termination.completed' and e.at = ${completedAt}::timestamptz
        and e.details ->> 'terminationId' = ${id}`,
  );
  return seal && { sequence: Number(seal.sequence), hash: seal.hash };
}
