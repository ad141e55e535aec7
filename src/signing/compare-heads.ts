import { sql } from 'kysely';
import { type Database, row, rows } from '../database.ts';
import type { AuditPublicKey } from './audit-keys.ts';
import { type KeptHead, readHead } from './kept-heads.ts';

/** What is wrong at the place of a head in the chain as it is now; null where the chain still has it. */
export async function compareHead(
  database: Database,
  { organizationId, sequence, hash }: KeptHead,
): Promise<string | null> {
  const seal = await row<{ hash: string }>(
    database.pool,
    sql`select hash from audit_seals where organization_id = ${organizationId} and sequence = ${sequence}`,
  );
  if (seal === undefined) return 'a signed head is of an event that is not in the chain any more';
  return seal.hash === hash ? null : 'the chain was rewritten: a signed head has another hash here';
}

/** The heads that the database itself has kept, the latest of each organization. */
export async function readStoredHeads(
  database: Database,
  keys: readonly AuditPublicKey[],
): Promise<(KeptHead | { organizationId: string; problem: string })[]> {
  const stored = await rows<{ organization_id: string; jws: string }>(
    database.pool,
    sql`select organization_id, jws from audit_heads where jws is not null order by organization_id`,
  );
  return Promise.all(
    stored.map(async ({ organization_id: organizationId, jws }) => {
      const head = await readHead(jws, keys);
      if (typeof head === 'string') return { organizationId, problem: `of its stored head: ${head}` };
      return head.organizationId === organizationId
        ? head
        : { organizationId, problem: 'its stored head is another organization’s' };
    }),
  );
}
