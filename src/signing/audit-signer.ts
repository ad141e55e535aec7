import { createPrivateKey } from 'node:crypto';
import { CompactSign } from 'jose';
import type { Logger } from 'pino';
import { type AuditKeys, type AuditPublicKey, auditPublicKey } from './audit-keys.ts';

/** What is signed; the words stand in the header as `typ`, so that neither is ever taken for the other. */
export type SignedKind = 'audit-head' | 'termination-receipt';

export interface AuditSigner {
  /** The one that signs first, then those that did. */
  publicKeys: readonly AuditPublicKey[];
  /** The compact JWS of these fields, in their order. */
  sign(kind: SignedKind, fields: object): Promise<string>;
}

/** Undefined where there is no key; that is said once, since the audit then proves nothing against who owns the database. */
export function createAuditSigner({ signingKey, publicKeys }: AuditKeys, logger: Logger): AuditSigner | undefined {
  if (signingKey === undefined) {
    logger.warn('AUDIT_SIGNING_KEY is not set: who owns the database can rewrite the audit unseen');
    return undefined;
  }
  const own = auditPublicKey(signingKey);
  const key = createPrivateKey({ key: signingKey, format: 'jwk' });
  return {
    publicKeys: [own, ...publicKeys.filter(({ kid }) => kid !== own.kid)],
    sign: (kind, fields) =>
      new CompactSign(Buffer.from(JSON.stringify(fields)))
        .setProtectedHeader({ alg: own.alg, kid: own.kid, typ: kind })
        .sign(key),
  };
}
