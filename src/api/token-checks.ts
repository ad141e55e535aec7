/** What makes a signed token count, one check each: of who sends it nothing is asked here. Each throws `TokenRefusal`. */
import type { CompactJWSHeaderParameters, JWTPayload } from 'jose';
import type { TrustedIssuer } from '../trusted-issuers.ts';
import { TokenRefusal } from './token-refusal.ts';

export interface DecodedToken {
  header: CompactJWSHeaderParameters;
  payload: JWTPayload;
}

export interface CheckedAgainst {
  issuer: TrustedIssuer;
  nowMs: number;
  /** For `nbf` and `iat` only: an expired token has no grace. */
  clockToleranceSeconds: number;
}

/** RFC 9068 §2.1 and RFC 7519 §5.1; a token made for another purpose (`logout+jwt`, `dpop+jwt`) is no access token. */
const types = new Set(['at+jwt', 'jwt']);

export function checkType({ header }: DecodedToken): void {
  const { typ } = header;
  if (typ === undefined) return;
  if (typeof typ !== 'string' || !types.has(typ.toLowerCase().replace(/^application\//, '')))
    throw new TokenRefusal('type');
}

export function checkAudience({ payload }: DecodedToken, { issuer }: CheckedAgainst): void {
  const { aud } = payload;
  if (aud === undefined) throw new TokenRefusal('claim-missing', 'aud');
  const named: unknown[] = Array.isArray(aud) ? aud : [aud];
  if (!named.some((one) => typeof one === 'string' && issuer.audiences.includes(one)))
    throw new TokenRefusal('audience', 'aud');
}

export function checkExpiry({ payload }: DecodedToken, { nowMs }: CheckedAgainst): void {
  const seconds = numericDate(payload, 'exp');
  if (seconds === null) throw new TokenRefusal('claim-missing', 'exp');
  if (seconds * 1_000 <= nowMs) throw new TokenRefusal('expired', 'exp');
}

export function checkBegin({ payload }: DecodedToken, { nowMs, clockToleranceSeconds }: CheckedAgainst): void {
  for (const claim of ['nbf', 'iat'] as const) {
    const seconds = numericDate(payload, claim);
    if (seconds !== null && seconds * 1_000 > nowMs + clockToleranceSeconds * 1_000)
      throw new TokenRefusal('not-yet-valid', claim);
  }
}

/** In the order in which they are asked. */
export const tokenChecks = [checkType, checkAudience, checkExpiry, checkBegin] as const;

/** RFC 7519 §2; null where the token lacks it. */
function numericDate(payload: JWTPayload, claim: string): number | null {
  const value = payload[claim];
  if (value === undefined) return null;
  if (typeof value !== 'number' || !Number.isFinite(value)) throw new TokenRefusal('claim-malformed', claim);
  return value;
}
