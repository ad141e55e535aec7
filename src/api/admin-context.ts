import type { MiddlewareHandler } from 'hono';
import type { Logger } from 'pino';
import { ServiceError } from '../errors.ts';
import {
  type AccessDecision,
  type AdminContext,
  type CallerFacts,
  type Operation,
  type TokenClaims,
  decideMachineAccess,
  decidePersonAccess,
} from '../rules/access.ts';
import type { ApiEnv } from './api-env.ts';
import { isOpaqueId } from '../rules/identifier.ts';
import { accessRefusal } from '../service/access-refusal.ts';
import { pathParameters } from './path-parameters.ts';
import { TokenRefusal } from './token-refusal.ts';
import type { VerifyToken } from './token-verifier.ts';

export interface CallerFactsReader {
  /** What the database says of a caller now. An empty `organizationId` names no organization: only the own session is judged. */
  read(claims: TokenClaims, organizationId: string): Promise<CallerFacts>;
}

export interface AdminContextDependencies {
  verifyToken: VerifyToken;
  callers: CallerFactsReader;
  logger: Logger;
}

/**
 * The one place that lets a caller in: from the verified token and the path alone, before the body is read and before
 * anything is looked up but the caller's own session and grant. Leaves `admin` for the handler.
 */
export function createAdminContext({ verifyToken, callers, logger }: AdminContextDependencies) {
  return (operation: Operation, pattern: string): MiddlewareHandler<ApiEnv> => {
    const inOrganization = pattern.includes('{org}');
    const readPath = pathParameters(pattern);

    async function decide(
      { authorization, requestId }: { authorization: string | undefined; requestId: string },
      organizationId: string | null,
    ): Promise<[AdminContext, TokenClaims]> {
      const claims = await verifyToken(bearerToken(authorization)).catch((error: unknown) => {
        throw error instanceof TokenRefusal ? invalidToken(error, requestId, logger) : error;
      });
      const decision =
        claims.kind === 'machine'
          ? decideMachine(claims, operation, organizationId, inOrganization)
          : await decidePerson(claims, operation, organizationId, inOrganization, callers);
      if (!decision.allowed) throw accessRefusal(decision.code);
      return [decision.context, claims];
    }

    return async function adminContext(c, next) {
      const { org } = readPath(c.req.url);
      const organizationId = org !== undefined && org !== null && isOpaqueId(org) ? org : null;
      const caller = { authorization: c.req.header('authorization'), requestId: c.get('requestId') };
      const [admin, claims] = await decide(caller, organizationId);
      if (organizationId !== null) c.set('organizationId', organizationId);
      c.set('admin', admin);
      c.set('tokenOrganizationId', claims.organizationId);
      c.set('callerKey', callerKey(claims, admin));
      c.set('askAgain', async () => void (await decide(caller, organizationId)));
      await next();
    };
  };
}

/** An ill-formed organization id is one that no machine speaks for. */
function decideMachine(
  claims: TokenClaims,
  operation: Operation,
  organizationId: string | null,
  inOrganization: boolean,
): AccessDecision {
  const decision = decideMachineAccess(claims, operation, organizationId);
  return decision.allowed && inOrganization && organizationId === null
    ? { allowed: false, code: 'role-required' }
    : decision;
}

async function decidePerson(
  claims: TokenClaims,
  operation: Operation,
  organizationId: string | null,
  inOrganization: boolean,
  callers: CallerFactsReader,
): Promise<AccessDecision> {
  const facts = await callers.read(claims, organizationId ?? '');
  if (inOrganization) return decidePersonAccess(claims, facts, operation, organizationId ?? '');
  // the machines' endpoints are no person's
  return { allowed: false, code: facts.ownSessionEnded ? 'session-ended' : 'role-required' };
}

/** The credentials of RFC 6750 §2.1; the scheme's case does not matter (RFC 9110 §11.1). */
function bearerToken(authorization: string | undefined): string {
  const token = /^Bearer +([\w.~+/-]+=*)$/i.exec(authorization ?? '')?.[1];
  if (token !== undefined) return token;
  throw new ServiceError('unauthenticated', 'A bearer token is required.');
}

/**
 * Tells callers apart, whatever issuers and subjects are named: of the issuer of `JWT_*` as it was told before there
 * could be several, of others as a JSON array, which no kind of caller begins like.
 */
const callerKey = ({ namespace }: TokenClaims, { kind, actorId }: AdminContext): string =>
  namespace === null ? `${kind}:${actorId}` : JSON.stringify([namespace, kind, actorId]);

/** Which of its faults a token has is for the log alone; who sent it is not told. (RFC 6750 §3.1) */
function invalidToken(
  { message, reason, claim, issuer }: TokenRefusal,
  requestId: string,
  logger: Logger,
): ServiceError {
  logger.warn({ requestId, issuer: issuer?.slice(0, 255), reason, claim }, `a token was refused: ${message}`);
  return new ServiceError('unauthenticated', 'The bearer token is not valid.', {
    headers: { 'WWW-Authenticate': 'Bearer error="invalid_token"' },
  });
}
