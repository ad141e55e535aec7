import { sql } from 'kysely';
import { type Database, rows } from '../database.ts';
import { genesisHash, type SealedFields, sealedColumns, sealHash } from '../dispatcher/seal-audit.ts';

const PAGE = 1_000;
/** The dispatcher seals within about a second; what waits for so long is forgotten, or was hidden from it. */
const UNSEALED_AFTER = '1 minute';

export interface AuditProblem {
  organizationId: string;
  /** Place in the organization's chain; null where the event is in none. */
  sequence: number | null;
  problem: string;
}
export interface AuditVerification {
  organizations: number;
  events: number;
  problems: AuditProblem[];
}

/** Every organization's chain from its beginning, a bounded page at a time. At most one problem of the chain each: after it nothing is proven. */
export async function verifyAudit(database: Database): Promise<AuditVerification> {
  const verification: AuditVerification = { organizations: 0, events: 0, problems: [] };
  const organizations = await rows<{ id: string }>(database.pool, sql`select id from organizations order by id`);
  for (const { id } of organizations) {
    const { events, problem } = await verifyChain(database, id);
    verification.organizations += 1;
    verification.events += events;
    if (problem !== null) verification.problems.push(problem);
  }
  verification.problems.push(...(await unsealed(database)));
  return verification;
}

interface Link extends SealedFields {
  sequence: string;
  sealed_event_id: string;
  hash: string;
  previous_hash: string;
}

async function verifyChain(
  database: Database,
  organizationId: string,
): Promise<{ events: number; problem: AuditProblem | null }> {
  let [sequence, previousHash] = [0, genesisHash];
  for (;;) {
    const links = await rows<Link>(
      database.pool,
      sql`select s.sequence, s.audit_event_id as sealed_event_id, s.hash, s.previous_hash, ${sealedColumns}
        from audit_seals s left join audit_events e on e.id = s.audit_event_id
        where s.organization_id = ${organizationId} and s.sequence > ${sequence} order by s.sequence limit ${PAGE}`,
    );
    for (const link of links) {
      const problem = problemOf(link, sequence + 1, previousHash, organizationId);
      if (problem !== null) return { events: sequence, problem: { organizationId, sequence: sequence + 1, problem } };
      [sequence, previousHash] = [sequence + 1, link.hash];
    }
    if (links.length < PAGE) return { events: sequence, problem: null };
  }
}

function problemOf(link: Link, sequence: number, previousHash: string, organizationId: string): string | null {
  if (Number(link.sequence) !== sequence) return 'a seal is missing';
  if (link.previous_hash !== previousHash)
    return 'the chain is broken: the previous hash is not that of the event before';
  if (link.id === null) return `audit event ${link.sealed_event_id} was removed`;
  if (link.organization_id !== organizationId) return `audit event ${link.id} was moved to another organization`;
  return sealHash(previousHash, link) === link.hash ? null : `audit event ${link.id} or its seal was changed`;
}

async function unsealed(database: Database): Promise<AuditProblem[]> {
  const found = await rows<{ organization_id: string; id: string; count: string }>(
    database.pool,
    sql`select e.organization_id, min(e.id::text) as id, count(*) as count from audit_events e
      where e.at < current_instant() - interval '${sql.raw(UNSEALED_AFTER)}' and not exists (select from audit_seals s where s.audit_event_id = e.id)
      group by e.organization_id order by e.organization_id`,
  );
  return found.map(({ organization_id, id, count }) => ({
    organizationId: organization_id,
    sequence: null,
    problem: `${count} audit event(s) older than ${UNSEALED_AFTER} are in no chain, the first is ${id}`,
  }));
}
