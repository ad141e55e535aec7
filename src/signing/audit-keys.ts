import { createHash, createPrivateKey, createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { z } from 'zod';

/** A public key that proves the audit, as `/.well-known/audit-keys.json` shows it. */
export interface AuditPublicKey {
  kty: string;
  crv: string;
  x: string;
  y?: string;
  /** The thumbprint of the key (RFC 7638). */
  kid: string;
  alg: 'EdDSA' | 'ES256';
  use: 'sig';
}

const algorithms: Partial<Record<string, AuditPublicKey['alg']>> = { Ed25519: 'EdDSA', 'P-256': 'ES256' };

/** Of a private key its public half. Throws for a key of another kind. */
export function auditPublicKey(jwk: JsonWebKey): AuditPublicKey {
  const key = (input: KeyObject | { key: JsonWebKey; format: 'jwk' }) =>
    createPublicKey(input).export({ format: 'jwk' });
  const {
    kty = '',
    crv = '',
    x = '',
    y,
  } = key(jwk.d === undefined ? { key: jwk, format: 'jwk' } : createPrivateKey({ key: jwk, format: 'jwk' }));
  const alg = algorithms[crv];
  if (alg === undefined) throw new Error(`${crv || kty} is none of ${Object.keys(algorithms).join(', ')}`);
  const members = { crv, kty, x, ...(y !== undefined && { y }) };
  const kid = createHash('sha256').update(JSON.stringify(members)).digest('base64url');
  return { ...members, kid, alg, use: 'sig' };
}

const jwkSchema = z.looseObject({ kty: z.string(), d: z.string().optional() });
const jwksSchema = z.looseObject({ keys: z.array(jwkSchema) });

/** The JSON of a variable, or of the file that it names as `@file`. */
const jsonOf = (text: string): unknown => JSON.parse(text.startsWith('@') ? readFileSync(text.slice(1), 'utf8') : text);

/** What `read` makes of a variable's JSON; whatever it throws is one problem, which quotes nothing of a key. */
const variable = <T>(read: (json: unknown) => T, expected: string) =>
  z.string().transform((text, context): T => {
    try {
      return read(jsonOf(text));
    } catch {
      context.addIssue({ code: 'custom', message: `must be ${expected}, as JSON or as @ and the name of a file` });
      return z.NEVER;
    }
  });

function readPrivate(json: unknown): JsonWebKey {
  const jwk = jwkSchema.required().parse(json);
  auditPublicKey(jwk);
  return jwk;
}

/** A private key where public ones belong is a mistake that must not go on to be served. */
const readPublic = (json: unknown): AuditPublicKey[] =>
  jwksSchema.parse(json).keys.map((jwk) => {
    if (jwk.d !== undefined) throw new Error('a private key');
    return auditPublicKey(jwk);
  });

/** The variables about the audit's keys. */
export const auditKeyVariables = {
  AUDIT_SIGNING_KEY: variable(readPrivate, 'a private JWK of Ed25519 or P-256').optional(),
  AUDIT_PUBLIC_KEYS: variable(readPublic, 'a JWKS of public keys of Ed25519 or P-256').optional(),
};
export interface AuditKeys {
  /** Private; undefined where nothing is signed. */
  signingKey: JsonWebKey | undefined;
  /** Of keys that signed earlier. */
  publicKeys: readonly AuditPublicKey[];
}
