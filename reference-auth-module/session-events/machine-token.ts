import { importJWK, SignJWT } from 'jose';
import type { Keys } from '../keys.ts';

export interface MachineTokenOptions {
  scope: string;
  ttlSeconds: number;
  organizationId?: string | undefined;
  subject?: string | undefined;
}

export type MintMachineToken = (options: MachineTokenOptions) => Promise<string>;
export type SignAccessToken = (claims: Record<string, unknown>, ttlSeconds: number) => Promise<string>;

/** Signs an access token of the same form as those of the token endpoint: ES256, `typ: at+jwt`, for the one audience. */
export async function createAccessTokenSigner(keys: Keys, issuer: string, audience: string): Promise<SignAccessToken> {
  const key = await importJWK(keys.signing, 'ES256');
  return async function signAccessToken(claims, ttlSeconds) {
    const issuedAt = Math.floor(Date.now() / 1000);
    return new SignJWT({ ...claims, jti: crypto.randomUUID() })
      .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: keys.signing.kid })
      .setIssuer(issuer)
      .setAudience(audience)
      .setIssuedAt(issuedAt)
      .setExpirationTime(issuedAt + ttlSeconds)
      .sign(key);
  };
}

/** A token of a machine: a scope, neither roles nor a session. */
export function createMachineTokens(sign: SignAccessToken): MintMachineToken {
  return ({ scope, ttlSeconds, organizationId, subject = 'auth-module' }) =>
    sign({ sub: subject, client_id: subject, scope, ...(organizationId && { org_id: organizationId }) }, ttlSeconds);
}

/** The token this module itself calls with, for one purpose: minted once, and anew a minute before it expires. */
export function createOwnToken(mint: MintMachineToken, scope: string): () => Promise<string> {
  const ttlSeconds = 600;
  let current: { token: Promise<string>; renewAt: number } | undefined;
  return async function ownToken() {
    if (!current || Date.now() >= current.renewAt) {
      const token = mint({ scope, ttlSeconds });
      current = { token, renewAt: Date.now() + (ttlSeconds - 60) * 1000 };
    }
    return current.token;
  };
}
