import { readFileSync } from 'node:fs';
import { compactVerify, createLocalJWKSet } from 'jose';
import { z } from 'zod';
import type { AuditPublicKey } from './audit-keys.ts';

/** A place in an organization's chain that a signature has fixed. */
export interface KeptHead {
  organizationId: string;
  sequence: number;
  hash: string;
}
/** A line of a file of kept heads: what it proves, or why it proves nothing. */
export type KeptLine = { line: number; head: KeptHead } | { line: number; problem: string };

const place = { sequence: z.int().min(1), hash: z.string().min(1) };
const headSchema = z.object({ organizationId: z.string(), ...place });
const receiptSchema = z.object({ organizationId: z.string(), audit: z.object(place) });
const signedSchema = z.object({ jws: z.string() });

/** Heads and receipts as the interface or the log gave them, one a line. What counts is what was signed, not what stands beside it. */
export async function readKeptHeads(file: string, keys: readonly AuditPublicKey[]): Promise<KeptLine[]> {
  const lines = readFileSync(file, 'utf8').split('\n');
  const kept = lines.map((text, n) => ({ line: n + 1, text: text.trim() })).filter(({ text }) => text !== '');
  return Promise.all(
    kept.map(async ({ line, text }) => {
      const jws = jwsOf(text);
      if (jws === undefined) return { line, problem: 'it is neither a head nor a receipt' };
      const head = await readHead(jws, keys);
      return typeof head === 'string' ? { line, problem: head } : { line, head };
    }),
  );
}

/** What a JWS proves, or why nothing. */
export async function readHead(jws: string, keys: readonly AuditPublicKey[]): Promise<KeptHead | string> {
  const jwks = createLocalJWKSet({ keys: [...keys] });
  const payload = await compactVerify(jws, jwks, { algorithms: ['EdDSA', 'ES256'] }).then(
    (verified): unknown => JSON.parse(Buffer.from(verified.payload).toString()),
    () => undefined,
  );
  if (payload === undefined) return 'it is signed by no known key';
  const head = headSchema.safeParse(payload);
  if (head.success) return head.data;
  const receipt = receiptSchema.safeParse(payload);
  if (!receipt.success) return 'it is neither a head nor a receipt';
  return { organizationId: receipt.data.organizationId, ...receipt.data.audit };
}

/** A line is JSON with a `jws`, or the JWS alone. */
function jwsOf(text: string): string | undefined {
  if (/^[\w-]+\.[\w-]+\.[\w-]+$/.test(text)) return text;
  try {
    return signedSchema.safeParse(JSON.parse(text)).data?.jws;
  } catch {
    return undefined;
  }
}
