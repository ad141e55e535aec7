import { decodeProtectedHeader, type JWTPayload } from 'jose';
import { machineScopes, permissions, type TokenClaims } from '../rules/access.ts';
import { ServiceError } from '../errors.ts';
import type { TrustedIssuer } from '../trusted-issuers.ts';
import { checkAudience, checkBegin, checkExpiry, checkType, type DecodedToken } from './token-checks.ts';
import { idClaim, listClaim, readCallerKind, readOrganization, readRoles, readSubject } from './token-claims.ts';
import { TokenRefusal } from './token-refusal.ts';
import { createTokenVerifier, decodePayload, findIssuer, type KeyedIssuer, verifySignature } from './token-verifier.ts';

export interface TokenExplanation {
  accepted: boolean;
  /** What is looked at, and what was found: one line each, without the signature. */
  lines: [what: string, found: string][];
}

interface ExplainOptions {
  issuers: readonly KeyedIssuer[];
  clockToleranceSeconds: number;
  nowMs: number;
}

/** How this configuration judges a token, claim by claim: the verdict is the service's own, the lines say what led to it. */
export async function explainToken(token: string, options: ExplainOptions): Promise<TokenExplanation> {
  const { issuers, clockToleranceSeconds, nowMs } = options;
  const lines: TokenExplanation['lines'] = [];
  const tell = async (what: string, look: () => unknown): Promise<void> => {
    lines.push([what, await found(look)]);
  };
  const verify = createTokenVerifier({ issuers, clockToleranceSeconds, now: () => nowMs });
  const verdict = await verify(token).catch((error: unknown) => error);
  const keyed = await Promise.resolve()
    .then(() => findIssuer(token, issuers))
    .catch(() => undefined);
  if (keyed === undefined) {
    await tell('iss', () => findIssuer(token, issuers).issuer.issuer);
  } else {
    lines.push(['iss', `${keyed.issuer.issuer}: trusted`]);
    await tell('signature', async () => signatureWords((await verifySignature(token, keyed.keys)).header));
    const decoded = { header: { alg: '', ...decodeProtectedHeader(token) }, payload: decodePayload(token) };
    const against = { issuer: keyed.issuer, clockToleranceSeconds, nowMs };
    for (const [what, look] of claimLines(decoded, against)) await tell(what, look);
  }
  lines.push(['verdict', verdictWords(verdict)]);
  if (isClaims(verdict)) lines.push(['may', mayWords(verdict)]);
  return { accepted: isClaims(verdict), lines };
}

/** Every claim that is read, in the order in which it is judged, with what is read from it. */
function claimLines(
  decoded: DecodedToken,
  against: { issuer: TrustedIssuer; clockToleranceSeconds: number; nowMs: number },
): [string, () => unknown][] {
  const { payload, header } = decoded;
  const { issuer } = against;
  const { claims: names } = issuer;
  const value = (name: string, check: () => void) => () => (
    check(),
    payload[name] === undefined ? 'absent' : JSON.stringify(payload[name])
  );
  const moment = (name: string, check: () => void) => () => (check(), momentOf(payload[name], against.nowMs));
  return [
    ['typ', () => (checkType(decoded), header.typ ?? 'absent')],
    ['aud', value('aud', () => checkAudience(decoded, against))],
    ['exp', moment('exp', () => checkExpiry(decoded, against))],
    ['nbf', moment('nbf', () => checkBegin({ ...decoded, payload: only(payload, 'nbf') }, against))],
    ['iat', moment('iat', () => checkBegin({ ...decoded, payload: only(payload, 'iat') }, against))],
    ['sub', () => readSubject(payload)],
    [`roles (${names.roles})`, () => rolesWords(listClaim(payload, names.roles), readRoles(payload, issuer))],
    [`organization (${names.organization})`, () => readOrganization(payload, issuer) ?? 'absent'],
    [`session (${names.session})`, () => idClaim(payload, names.session) ?? 'absent'],
    [`scope (${names.scope})`, () => listClaim(payload, names.scope) ?? 'absent'],
    [`support grant (${names.supportAccessGrant})`, () => idClaim(payload, names.supportAccessGrant) ?? 'absent'],
    ['auth_time', () => momentOf(payload['auth_time'], against.nowMs)],
    ...['client_id', 'azp', 'cid'].map((name): [string, () => unknown] => [
      name,
      () => idClaim(payload, name) ?? 'absent',
    ]),
    ['caller', () => callerWords(readCallerKind(payload, issuer))],
  ];
}

const only = (payload: JWTPayload, name: string): JWTPayload =>
  payload[name] === undefined ? {} : { [name]: payload[name] };

async function found(look: () => unknown): Promise<string> {
  try {
    const value = await look();
    return typeof value === 'string' ? value : JSON.stringify(value);
  } catch (error) {
    return `refused: ${wordsOf(error)}`;
  }
}

const wordsOf = (error: unknown): string =>
  error instanceof TokenRefusal || error instanceof ServiceError ? error.message : 'it could not be read';

const isClaims = (verdict: unknown): verdict is TokenClaims =>
  typeof verdict === 'object' && verdict !== null && 'subject' in verdict;

const signatureWords = ({ alg, kid }: DecodedToken['header']): string => `good (${alg}, key ${kid ?? 'without an id'})`;

const verdictWords = (verdict: unknown): string =>
  isClaims(verdict) ? `accepted, as a ${verdict.kind}` : `refused: ${wordsOf(verdict)}`;

const callerWords = ({ kind, rule }: { kind: string; rule: string }): string => `a ${kind}: ${rule}`;

const rolesWords = (words: readonly string[] | null, roles: readonly string[]): string =>
  words === null ? 'absent' : `${JSON.stringify(words)}, of which count: ${roles.join(', ') || 'none'}`;

function momentOf(value: unknown, nowMs: number): string {
  if (value === undefined) return 'absent';
  if (typeof value !== 'number' || Math.abs(value) > 8.64e12) return JSON.stringify(value);
  const seconds = Math.round(value - nowMs / 1_000);
  return `${new Date(value * 1_000).toISOString()}, ${seconds < 0 ? `${-seconds} s ago` : `in ${seconds} s`}`;
}

/** What its claims permit. The database has the last word: of the own session, and of the grants that are live. */
function mayWords({ kind, roles, scopes, organizationId, supportAccessGrantId, maySupport }: TokenClaims): string {
  const list = (operations: Iterable<string>) => [...operations].join(', ') || 'nothing';
  if (kind === 'machine') {
    const where = organizationId === null ? 'in any organization' : `in ${organizationId}`;
    return `${where}: ${list(new Set(scopes.flatMap((scope) => [...(machineScopes[scope] ?? [])])))}`;
  }
  const asStaff = `where a grant lets them in: ${list(permissions['global-admin'])}`;
  if (supportAccessGrantId !== null) return maySupport ? `under grant ${supportAccessGrantId}, ${asStaff}` : 'nothing';
  const own = roles.includes('org-admin') ? [`in ${organizationId}: ${list(permissions['org-admin'])}`] : [];
  return (
    [...own, ...(roles.includes('global-admin') ? [asStaff] : [])].join('; ') || 'nothing: it has no role that counts'
  );
}
