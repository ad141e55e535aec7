import type { JWTPayload } from 'jose';
import type { Config } from '../config.ts';
import type { TokenClaims } from '../rules/access.ts';
import { isOpaqueId } from '../rules/identifier.ts';

type ClaimNames = Config['jwt']['claims'];

/** The last second of the year 9999: later ones have no RFC 3339 form. */
const LAST_SECOND = 253_402_300_799;

/**
 * The claims of a verified token by their meaning. A claim that is present in a wrong form is a malformed token, never
 * an absent claim: `roles: null` must not turn a person's token into a machine's. Throws a plain Error.
 */
export function readTokenClaims(payload: JWTPayload, names: ClaimNames): TokenClaims {
  return {
    subject: idClaim(payload, 'sub') ?? fail('sub'),
    roles: listClaim(payload, names.roles),
    organizationId: idClaim(payload, names.organization),
    sessionId: idClaim(payload, names.session),
    scopes: listClaim(payload, names.scope) ?? [],
    supportAccessGrantId: idClaim(payload, names.supportAccessGrant),
    authenticatedAtMs: Math.floor((secondsClaim(payload, 'auth_time') ?? secondsClaim(payload, 'iat') ?? 0) * 1_000),
  };
}

const fail = (claim: string): never => {
  throw new Error(`malformed claim ${claim}`);
};

function idClaim(payload: JWTPayload, name: string): string | null {
  const value = payload[name];
  if (value === undefined) return null;
  return typeof value === 'string' && isOpaqueId(value) ? value : fail(name);
}

/** An array of strings, or one string of words separated by spaces (RFC 6749 §3.3). */
function listClaim(payload: JWTPayload, name: string): readonly string[] | null {
  const value = payload[name];
  if (value === undefined) return null;
  if (typeof value === 'string') return value.split(' ').filter((word) => word !== '');
  return Array.isArray(value) && value.every((word) => typeof word === 'string') ? value : fail(name);
}

function secondsClaim(payload: JWTPayload, name: string): number | null {
  const value = payload[name];
  if (value === undefined) return null;
  return typeof value === 'number' && value >= 0 && value <= LAST_SECOND ? value : fail(name);
}
