import { sql } from 'kysely';
import type { Logger } from 'pino';
import { type Database, rows, type Transaction } from '../database.ts';
import type { SignedAuditHead } from '../rules/audit.ts';
import { toInstant } from '../service/instants.ts';
import type { AuditSigner } from '../signing/audit-signer.ts';

export interface SignHeadsOptions {
  database: Database;
  signer: AuditSigner;
  logger: Logger;
}

const HEADS_A_ROUND = 20;

/**
 * An organization's head is due from the first seal that it does not cover, at the earliest a minute after the one before.
 * Whether or not anybody signs, so that a key that comes later finds them all.
 */
export async function headMoved(transaction: Transaction, organizationId: string): Promise<void> {
  await rows(
    transaction,
    sql`insert into audit_heads as h (organization_id, due_at) values (${organizationId}, current_instant())
      on conflict (organization_id) do update set due_at = greatest(current_instant(), h.at + interval '1 minute') where h.due_at is null`,
  );
}

/** Each call signs heads that are due, those that are so for the longest first, and writes them into the log too: it is kept elsewhere. */
export function createSignHeads({ database, signer, logger }: SignHeadsOptions): () => Promise<void> {
  return async () => {
    const signed = await database.transaction((transaction) => signDue(transaction, signer));
    for (const head of signed) logger.info(head, 'audit head signed');
  };
}

interface DueHead {
  organization_id: string;
  sequence: string | null;
  hash: string;
  at: string;
}

async function signDue(transaction: Transaction, signer: AuditSigner): Promise<SignedAuditHead[]> {
  const due = await rows<DueHead>(
    transaction,
    sql`select d.organization_id, s.sequence, s.hash, current_instant() as at from (
        select organization_id from audit_heads where due_at <= (select current_instant()) order by due_at limit ${HEADS_A_ROUND} for update skip locked
      ) d left join lateral (
        select sequence, hash from audit_seals s where s.organization_id = d.organization_id order by sequence desc limit 1
      ) s on true`,
  );
  if (due.length === 0) return [];
  const sealed = due.flatMap(({ organization_id, sequence, hash, at }) =>
    sequence === null ? [] : [{ organizationId: organization_id, sequence: Number(sequence), hash, at: toInstant(at) }],
  );
  const signed = await Promise.all(
    sealed.map(async (head) => ({ ...head, jws: await signer.sign('audit-head', head) })),
  );
  await rows(
    transaction,
    sql`update audit_heads h set due_at = null, sequence = s.sequence, hash = s.hash, at = s.at, jws = s.jws
      from unnest(${due.map(({ organization_id }) => organization_id)}::text[]) as d (id)
      left join jsonb_to_recordset(${JSON.stringify(signed)}::jsonb) as s("organizationId" text, sequence bigint, hash text, at timestamptz, jws text)
        on s."organizationId" = d.id
      where h.organization_id = d.id`,
  );
  return signed;
}
