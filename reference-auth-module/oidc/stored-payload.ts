import { createHash } from 'node:crypto';
import type { AdapterPayload } from 'oidc-provider';

/** Secrets are looked up by their SHA-256: the database, or a copy of it, opens nothing. */
export function keyOf(id: string): Buffer {
  return createHash('sha256').update(id).digest();
}

/** `jti` is the secret itself in all that a client or browser holds; it is put back when the holder presents it. */
export function withoutSecret({ jti: _secret, ...rest }: AdapterPayload): AdapterPayload {
  return rest;
}

export function expiryOf(expiresInSeconds: number): Date {
  return new Date(Date.now() + expiresInSeconds * 1000);
}
