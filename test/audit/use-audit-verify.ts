import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { sql } from 'kysely';
import { openDatabase, rows } from '../../src/database.ts';
import { genesisHash, sealHash, type SealedFields, sealedColumns } from '../../src/dispatcher/seal-audit.ts';
import type { TestDatabase } from '../harness/database.ts';

const script = fileURLToPath(new URL('../../src/audit-verify.ts', import.meta.url));

/** `npm run audit:verify`, with nothing of this process's environment but where programs are. */
export const auditVerify = (environment: Record<string, string>, args: readonly string[] = []) =>
  new Promise<{ code: number; out: string; err: string }>((done) => {
    execFile(
      process.execPath,
      [script, ...args],
      { env: { PATH: process.env['PATH'], ...environment } },
      (error, out, err) => done({ code: error === null ? 0 : Number(error.code), out, err }),
    );
  });

/** As somebody who owns the database: triggers are switched off for these statements. */
export const asOwner = ({ query }: TestDatabase, statements: string) =>
  query(`begin; set local session_replication_role = replica; ${statements}; commit`);

/** Makes every hash of an organization's chain right again, as somebody would who has changed an event and knows how they are made. */
export async function rehash(test: TestDatabase, organizationId: string): Promise<void> {
  const database = await openDatabase({ url: test.url, applicationName: 'rehash' });
  const links = await rows<SealedFields & { sequence: string }>(
    database.pool,
    sql`select s.sequence, ${sealedColumns} from audit_seals s join audit_events e on e.id = s.audit_event_id
      where s.organization_id = ${organizationId} order by s.sequence`,
  );
  await database.close();
  let previous = genesisHash;
  for (const link of links) {
    const hash = sealHash(previous, link);
    await asOwner(
      test,
      `update audit_seals set hash = '${hash}', previous_hash = '${previous}' where organization_id = '${organizationId}' and sequence = ${link.sequence}`,
    );
    previous = hash;
  }
}
