import { jwtVerify, type JWTPayload, type JWTVerifyGetKey } from 'jose';
import type { Config } from '../config.ts';
import { ServiceError } from '../errors.ts';
import type { TokenClaims } from '../rules/access.ts';
import { readTokenClaims } from './token-claims.ts';

/** Verifies a bearer token; throws `unauthenticated` for a bad one. */
export type VerifyToken = (token: string) => Promise<TokenClaims>;

/** Asymmetric only: with a symmetric algorithm, or `none`, anybody who knows the public key could sign. */
const algorithms = ['ES256', 'EdDSA', 'RS256', 'PS256'];
/** RFC 9068 §2.1 and RFC 7519 §5.1; a token made for another purpose (`logout+jwt`, `dpop+jwt`) is no access token. */
const types = new Set(['at+jwt', 'jwt']);
/** For `nbf` and `iat` only: an expired token has no grace. */
const CLOCK_TOLERANCE_SECONDS = 5;
const MAX_CACHED = 10_000;
/** A cached token is verified anew after this long, so that a key the issuer has removed stops counting. */
const REVERIFY_AFTER_MS = 60_000;

interface Verified {
  claims: TokenClaims;
  expiresAtMs: number;
  verifyAgainAtMs: number;
}

/**
 * Verified tokens are remembered, bounded, for at most a minute and never past their `exp`: a signature costs more than
 * all the rest of a request. Whether the caller's session still lives is asked of the database on every request.
 */
export function createTokenVerifier(
  config: Config['jwt'],
  keys: JWTVerifyGetKey,
  now: () => number = Date.now,
): VerifyToken {
  const cache = new Map<string, Verified>();
  return async function verifyToken(token) {
    const known = cache.get(token);
    if (known !== undefined && now() < known.expiresAtMs && now() < known.verifyAgainAtMs) return known.claims;
    cache.delete(token);
    const fresh = await verify(token, config, keys, now);
    if (cache.size >= MAX_CACHED) cache.delete(cache.keys().next().value ?? '');
    cache.set(token, fresh);
    return fresh.claims;
  };
}

async function verify(
  token: string,
  config: Config['jwt'],
  keys: JWTVerifyGetKey,
  now: () => number,
): Promise<Verified> {
  try {
    const { payload, protectedHeader } = await jwtVerify(token, keys, {
      algorithms,
      issuer: config.issuer,
      audience: config.audience,
      requiredClaims: ['exp', 'sub'],
      clockTolerance: CLOCK_TOLERANCE_SECONDS,
      currentDate: new Date(now()),
    });
    requireType(protectedHeader.typ);
    const expiresAtMs = requireTimes(payload, now());
    return { claims: readTokenClaims(payload, config.claims), expiresAtMs, verifyAgainAtMs: now() + REVERIFY_AFTER_MS };
  } catch (error) {
    if (error instanceof ServiceError) throw error;
    throw invalidToken();
  }
}

function requireType(typ: string | undefined): void {
  if (typ !== undefined && !types.has(typ.toLowerCase().replace(/^application\//, ''))) throw invalidToken();
}

function requireTimes(payload: JWTPayload, nowMs: number): number {
  const expiresAtMs = (payload.exp ?? 0) * 1_000;
  if (expiresAtMs <= nowMs) throw invalidToken();
  if (payload.iat !== undefined && payload.iat * 1_000 > nowMs + CLOCK_TOLERANCE_SECONDS * 1_000) throw invalidToken();
  return expiresAtMs;
}

/** Which of its faults a token has is not told to who sent it. (RFC 6750 §3.1) */
const invalidToken = () =>
  new ServiceError('unauthenticated', 'The bearer token is not valid.', {
    headers: { 'WWW-Authenticate': 'Bearer error="invalid_token"' },
  });
