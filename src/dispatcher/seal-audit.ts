import { createHash } from 'node:crypto';
import { type RawBuilder, sql } from 'kysely';
import { type Database, row, rows, type Transaction } from '../database.ts';
import { headMoved } from './sign-heads.ts';

/** The fields of an audit event that its hash covers, as text, so that no driver's idea of a number or date can change it. */
export interface SealedFields {
  id: string;
  organization_id: string;
  at: string;
  action: string;
  actor: string;
  subject_kind: string;
  subject_id: string;
  reason: string | null;
  details: string;
}

/** The columns as `SealedFields`: jsonb's own text form is canonical (ordered keys, no duplicates). */
export const sealedColumns = sql.raw(
  'e.id::text, e.organization_id, to_char(e.at at time zone \'UTC\', \'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"\') as at, e.action, e.actor::text, e.subject_kind, e.subject_id, e.reason, e.details::text',
);

/** What stands before the first event of every organization. */
export const genesisHash = '0'.repeat(64);

/** SHA-256, hex, over the previous hash and every field: an edit, a removal or an insertion breaks every later link. */
export const sealHash = (previousHash: string, e: SealedFields): string =>
  createHash('sha256')
    .update(
      JSON.stringify([
        previousHash,
        e.id,
        e.organization_id,
        e.at,
        e.action,
        e.actor,
        e.subject_kind,
        e.subject_id,
        e.reason,
        e.details,
      ]),
    )
    .digest('hex');

const ORGANIZATIONS_A_ROUND = 20;
const EVENTS_A_ROUND = 500;

/**
 * Each call links audit events that are not yet in their organization's hash chain, one organization at a time; no decision
 * waits for it. The organizations have their turn in the order of their ids, and a turn is bounded: one that floods does
 * not delay the seals of others.
 */
export function createSealAudit(database: Database): () => Promise<void> {
  let after = '';
  return async () => {
    const waiting = await organizationsAfter(database, after);
    for (const { organization_id } of waiting)
      await database.transaction((transaction) => sealOrganization(transaction, organization_id));
    after = waiting.length < ORGANIZATIONS_A_ROUND ? '' : (waiting.at(-1)?.organization_id ?? '');
  };
}

/** From one to the next by the index: those that have thousands waiting cost no more than those that have one. */
const organizationsAfter = (database: Database, after: string): Promise<{ organization_id: string }[]> => {
  const next = (last: RawBuilder<unknown>) =>
    sql`(select u.organization_id from audit_unsealed u where u.organization_id > ${last} order by u.organization_id limit 1)`;
  return rows(
    database.pool,
    sql`with recursive waiting (organization_id, n) as (
        select ${next(sql`${after}`)}, 1
        union all select ${next(sql`w.organization_id`)}, w.n + 1 from waiting w where w.organization_id is not null and w.n < ${ORGANIZATIONS_A_ROUND}::int
      ) select organization_id from waiting where organization_id is not null`,
  );
};

async function sealOrganization(transaction: Transaction, organizationId: string): Promise<void> {
  const mine = await row<{ locked: boolean }>(
    transaction,
    sql`select pg_try_advisory_xact_lock(hashtextextended(${`audit-seal:${organizationId}`}, 0)) as locked`,
  );
  if (mine?.locked !== true) return;
  const last = await row<{ sequence: string; hash: string }>(
    transaction,
    sql`select sequence, hash from audit_seals where organization_id = ${organizationId} order by sequence desc limit 1`,
  );
  const events = await rows<SealedFields>(
    transaction,
    sql`select ${sealedColumns} from (
        select audit_event_id from audit_unsealed where organization_id = ${organizationId} order by audit_event_id limit ${EVENTS_A_ROUND}
      ) u join audit_events e on e.id = u.audit_event_id order by e.at, e.id`,
  );
  let previousHash = last?.hash ?? genesisHash;
  const seals = events.map((event, n) => {
    const seal = {
      sequence: Number(last?.sequence ?? 0) + n + 1,
      audit_event_id: event.id,
      previous_hash: previousHash,
      hash: sealHash(previousHash, event),
    };
    previousHash = seal.hash;
    return seal;
  });
  await rows(
    transaction,
    sql`with sealed as (
        insert into audit_seals (organization_id, sequence, audit_event_id, hash, previous_hash)
        select ${organizationId}, s.sequence, s.audit_event_id, s.hash, s.previous_hash
        from jsonb_to_recordset(${JSON.stringify(seals)}::jsonb) as s(sequence bigint, audit_event_id uuid, hash text, previous_hash text)
        returning audit_event_id
      ) delete from audit_unsealed u using sealed where u.audit_event_id = sealed.audit_event_id`,
  );
  if (seals.length > 0) await headMoved(transaction, organizationId);
}
