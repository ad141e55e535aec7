import type { JWTPayload } from 'jose';
import type { Role, TokenClaims } from '../rules/access.ts';
import { type CallerKind, judgeCallerKind } from '../rules/caller-kind.ts';
import { isOpaqueId } from '../rules/identifier.ts';
import type { TrustedIssuer } from '../trusted-issuers.ts';
import { TokenRefusal } from './token-refusal.ts';

/** The last second of the year 9999: later ones have no RFC 3339 form. */
const LAST_SECOND = 253_402_300_799;

/**
 * The claims of a verified token by their meaning, as the entry of its issuer has them read. A claim that is present in
 * a wrong form is a malformed token, never an absent claim: an absent grant would make a support session an ordinary
 * one. Throws `TokenRefusal`.
 */
export function readTokenClaims(payload: JWTPayload, issuer: TrustedIssuer): TokenClaims {
  const names = issuer.claims;
  const { kind, entryScopes } = readCallerKind(payload, issuer);
  const organizationId = readOrganization(payload, issuer);
  const sessionId = idClaim(payload, names.session);
  if (kind === 'person' && sessionId === null) throw new TokenRefusal('claim-missing', names.session);
  if (kind === 'person' && organizationId === null) throw new TokenRefusal('claim-missing', names.organization);
  return {
    issuer: issuer.issuer,
    namespace: issuer.namespace,
    kind,
    subject: readSubject(payload),
    roles: kind === 'machine' ? [] : readRoles(payload, issuer),
    organizationId,
    sessionId,
    scopes: entryScopes ?? listClaim(payload, names.scope) ?? [],
    supportAccessGrantId: idClaim(payload, names.supportAccessGrant),
    maySupport: issuer.maySupport,
    authenticatedAtMs: Math.floor((secondsClaim(payload, 'auth_time') ?? secondsClaim(payload, 'iat') ?? 0) * 1_000),
  };
}

/** Person or machine, and by which rule. */
export function readCallerKind(payload: JWTPayload, { claims, machines }: TrustedIssuer): CallerKind {
  const marks = {
    subject: readSubject(payload),
    clientIds: ['client_id', 'azp', 'cid'].flatMap((name) => idClaim(payload, name) ?? []),
    hasRoles: listClaim(payload, claims.roles) !== null,
    hasSession: idClaim(payload, claims.session) !== null,
    hasSupportGrant: idClaim(payload, claims.supportAccessGrant) !== null,
    scopes: listClaim(payload, claims.scope) ?? [],
  };
  return judgeCallerKind(marks, machines);
}

export function readSubject(payload: JWTPayload): string {
  const subject = idClaim(payload, 'sub');
  if (subject === null) throw new TokenRefusal('claim-missing', 'sub');
  return subject;
}

/** An issuer of one organization speaks for no other: a claim that names one makes the whole token worthless. */
export function readOrganization(payload: JWTPayload, { claims, organization }: TrustedIssuer): string | null {
  const named = idClaim(payload, claims.organization);
  if (organization !== null && named !== null && named !== organization)
    throw new TokenRefusal('claim-contradicts', claims.organization);
  return organization ?? named;
}

/** The roles that count, of the words that the entry maps. */
export function readRoles(payload: JWTPayload, { claims, roles, maySupport }: TrustedIssuer): Role[] {
  const words = listClaim(payload, claims.roles) ?? [];
  const has = (meanings: readonly string[]) => words.some((word) => meanings.includes(word));
  return [
    ...(has(roles.orgAdmin) ? (['org-admin'] as const) : []),
    ...(maySupport && has(roles.globalAdmin) ? (['global-admin'] as const) : []),
  ];
}

const malformed = (name: string): never => {
  throw new TokenRefusal('claim-malformed', name);
};

/** A claim that is an id; null where the token lacks it. */
export function idClaim(payload: JWTPayload, name: string): string | null {
  const value = findClaim(payload, name);
  if (value === undefined) return null;
  return typeof value === 'string' && isOpaqueId(value) ? value : malformed(name);
}

/** An array of strings, or one string of words separated by spaces (RFC 6749 §3.3). */
export function listClaim(payload: JWTPayload, name: string): readonly string[] | null {
  const value = findClaim(payload, name);
  if (value === undefined) return null;
  if (typeof value === 'string') return value.split(' ').filter((word) => word !== '');
  return Array.isArray(value) && value.every((word) => typeof word === 'string') ? value : malformed(name);
}

function secondsClaim(payload: JWTPayload, name: string): number | null {
  const value = findClaim(payload, name);
  if (value === undefined) return null;
  return typeof value === 'number' && value >= 0 && value <= LAST_SECOND ? value : malformed(name);
}

/**
 * The claim of that very name (Auth0's are addresses, with dots), else what a dotted path leads to. A step of the path
 * may have dots itself, as Keycloak's clients may. A step into what is no object is malformed, not absent.
 */
export function findClaim(payload: JWTPayload, name: string): unknown {
  return find(payload, name, name);
}

function find(object: object, path: string, name: string): unknown {
  if (Object.hasOwn(object, path)) return Reflect.get(object, path);
  for (let dot = path.indexOf('.'); dot >= 0; dot = path.indexOf('.', dot + 1)) {
    const [step, rest] = [path.slice(0, dot), path.slice(dot + 1)];
    if (!Object.hasOwn(object, step)) continue;
    const inner: unknown = Reflect.get(object, step);
    if (typeof inner !== 'object' || inner === null || Array.isArray(inner)) return malformed(name);
    const found = find(inner, rest, name);
    if (found !== undefined) return found;
  }
  return undefined;
}
