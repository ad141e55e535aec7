import { compactVerify, decodeJwt, errors, type JWTPayload, type JWTVerifyGetKey } from 'jose';
import { ServiceError } from '../errors.ts';
import type { TokenClaims } from '../rules/access.ts';
import type { TrustedIssuer } from '../trusted-issuers.ts';
import { readTokenClaims } from './token-claims.ts';
import { type DecodedToken, tokenChecks } from './token-checks.ts';
import { TokenRefusal } from './token-refusal.ts';

/** Verifies a bearer token; throws `TokenRefusal` for a bad one, `ServiceError` where it cannot be judged now. */
export type VerifyToken = (token: string) => Promise<TokenClaims>;

/** An issuer with the keys that its tokens, and no others, are verified with. */
export interface KeyedIssuer {
  issuer: TrustedIssuer;
  keys: JWTVerifyGetKey;
}

export interface TokenVerifierOptions {
  issuers: readonly KeyedIssuer[];
  clockToleranceSeconds: number;
  now?: () => number;
}

/** Asymmetric only: with a symmetric algorithm, or `none`, anybody who knows the public key could sign. */
export const algorithms = ['ES256', 'EdDSA', 'RS256', 'PS256'];
const MAX_CACHED = 10_000;
/** A cached token is verified anew after this long, so that a key the issuer has removed stops counting. */
const REVERIFY_AFTER_MS = 60_000;

interface Verified {
  claims: TokenClaims;
  expiresAtMs: number;
  verifyAgainAtMs: number;
}

/**
 * A token is judged by the entry of its own `iss` alone: its keys, its audiences, its claims. Verified tokens are
 * remembered, bounded, for at most a minute and never past their `exp`: a signature costs more than all the rest of a
 * request. Whether the caller's session still lives is asked of the database on every request.
 */
export function createTokenVerifier({
  issuers,
  clockToleranceSeconds,
  now = Date.now,
}: TokenVerifierOptions): VerifyToken {
  const cache = new Map<string, Verified>();

  async function verify(token: string): Promise<Verified> {
    const { issuer, keys } = findIssuer(token, issuers);
    try {
      const decoded = await verifySignature(token, keys);
      for (const check of tokenChecks) check(decoded, { issuer, nowMs: now(), clockToleranceSeconds });
      const claims = readTokenClaims(decoded.payload, issuer);
      const expiresAtMs = (decoded.payload.exp ?? 0) * 1_000;
      return { claims, expiresAtMs, verifyAgainAtMs: now() + REVERIFY_AFTER_MS };
    } catch (error) {
      if (error instanceof TokenRefusal) error.issuer = issuer.issuer;
      throw error;
    }
  }

  return async function verifyToken(token) {
    const known = cache.get(token);
    if (known !== undefined && now() < known.expiresAtMs && now() < known.verifyAgainAtMs) return known.claims;
    cache.delete(token);
    const fresh = await verify(token);
    if (cache.size >= MAX_CACHED) cache.delete(cache.keys().next().value ?? '');
    cache.set(token, fresh);
    return fresh.claims;
  };
}

/** Whose token it says it is: nothing of it is believed before that issuer's key has verified it. */
export function findIssuer(token: string, issuers: readonly KeyedIssuer[]): KeyedIssuer {
  const named: unknown = decodePayload(token).iss;
  const found = issuers.find(({ issuer }) => issuer.issuer === named);
  if (found !== undefined) return found;
  const refusal = new TokenRefusal('issuer-unknown', 'iss');
  refusal.issuer = typeof named === 'string' ? named : undefined;
  throw refusal;
}

/** Nothing of it is to be believed before the signature is good. */
export function decodePayload(token: string): JWTPayload {
  try {
    return decodeJwt(token);
  } catch {
    throw new TokenRefusal('malformed');
  }
}

/** The token's header and payload, once its signature is good. Throws `ServiceError` where there are no keys to say so. */
export async function verifySignature(token: string, keys: JWTVerifyGetKey): Promise<DecodedToken> {
  try {
    const { protectedHeader } = await compactVerify(token, keys, { algorithms });
    // an unencoded payload (RFC 7797) is no JWT
    if (protectedHeader.b64 !== undefined) throw new TokenRefusal('malformed');
    return { header: protectedHeader, payload: decodePayload(token) };
  } catch (error) {
    if (error instanceof ServiceError || error instanceof TokenRefusal) throw error;
    throw new TokenRefusal(reasonOf(error));
  }
}

function reasonOf(error: unknown): 'algorithm' | 'key-unknown' | 'signature' | 'malformed' {
  if (error instanceof errors.JOSEAlgNotAllowed) return 'algorithm';
  if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys)
    return 'key-unknown';
  if (error instanceof errors.JWSSignatureVerificationFailed) return 'signature';
  return 'malformed';
}
