/**
 * `npm run audit:verify`: walks every organization's hash chain and reports the first gap or edit of each. Where keys are
 * configured the chains are held against the signed heads that the database has, with `--heads FILE` also against those
 * that were kept elsewhere. Exit 1 where something is wrong.
 */
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { type Database, openDatabase } from './database.ts';
import { databaseAddress } from './database/address.ts';
import { explainFailure } from './database/hints.ts';
import { auditKeyVariables, type AuditPublicKey, auditPublicKey } from './signing/audit-keys.ts';
import { compareHead, readStoredHeads } from './signing/compare-heads.ts';
import { type AuditProblem, verifyAudit } from './signing/verify-chains.ts';
import { type KeptHead, type KeptLine, readKeptHeads } from './signing/kept-heads.ts';

/** What differs between the chains and signed heads, whoever kept them. */
export async function verifyHeads(
  database: Database,
  keys: readonly AuditPublicKey[],
  kept: readonly KeptLine[],
): Promise<string[]> {
  const stored = keys.length === 0 ? [] : await readStoredHeads(database, keys);
  const problems: string[] = [];
  for (const { line, ...found } of kept) {
    const problem = 'problem' in found ? found.problem : await problemOfHead(database, found.head);
    if (problem !== null) problems.push(`kept head of line ${line}: ${problem}`);
  }
  for (const head of stored) {
    const problem =
      'problem' in head
        ? where({ ...head, sequence: null }) + `: ${head.problem}`
        : await problemOfHead(database, head);
    if (problem !== null) problems.push(problem);
  }
  return problems;
}

async function problemOfHead(database: Database, head: KeptHead): Promise<string | null> {
  const problem = await compareHead(database, head);
  return problem === null ? null : `${where(head)}: ${problem}`;
}

const where = ({ organizationId, sequence }: Pick<AuditProblem, 'organizationId' | 'sequence'>) =>
  `organization ${JSON.stringify(organizationId)}${sequence === null ? '' : `, sequence ${sequence}`}`;

const environmentSchema = z.object(auditKeyVariables);

/** The public keys that this process is told of, and the file of kept heads. Throws one line a problem. */
function readSettings() {
  const { values } = parseArgs({ options: { heads: { type: 'string' } } });
  const present = Object.fromEntries(Object.entries(process.env).filter(([, value]) => value !== ''));
  const parsed = environmentSchema.safeParse(present);
  if (!parsed.success)
    throw new Error(parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('\n'));
  const { AUDIT_SIGNING_KEY: own, AUDIT_PUBLIC_KEYS: others = [] } = parsed.data;
  return { heads: values.heads, keys: [...(own === undefined ? [] : [auditPublicKey(own)]), ...others] };
}

async function main(): Promise<number> {
  const { heads, keys } = readSettings();
  const kept = heads === undefined ? [] : await readKeptHeads(heads, keys);
  if (heads !== undefined && kept.length === 0) throw new Error(`--heads: ${heads} has no head`);
  const database = await openDatabase({
    ...databaseAddress(process.env),
    applicationName: 'session-management-audit-verify',
    statementTimeoutMs: 0,
  });
  try {
    const { organizations, events, problems } = await verifyAudit(database);
    const all = [
      ...problems.map((problem) => `${where(problem)}: ${problem.problem}`),
      ...(await verifyHeads(database, keys, kept)),
    ];
    for (const problem of all) process.stderr.write(`${problem}\n`);
    process.stdout.write(
      `${organizations} organization(s), ${events} sealed event(s), ${kept.length} kept head(s) verified: ${all.length === 0 ? 'no gap, no edit' : `${all.length} problem(s)`}.\n`,
    );
    return all.length === 0 ? 0 : 1;
  } finally {
    await database.close();
  }
}

if (import.meta.main) {
  try {
    process.exitCode = await main();
  } catch (error) {
    process.stderr.write(`${explainFailure(error)}\n`);
    process.exitCode = 1;
  }
}
