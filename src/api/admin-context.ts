import type { MiddlewareHandler } from 'hono';
import { ServiceError } from '../errors.ts';
import {
  type AccessDecision,
  type AdminContext,
  type CallerFacts,
  type Operation,
  type TokenClaims,
  decideMachineAccess,
  decidePersonAccess,
  isMachine,
} from '../rules/access.ts';
import type { ApiEnv } from './api-env.ts';
import { isOpaqueId } from '../rules/identifier.ts';
import { accessRefusal } from '../service/access-refusal.ts';
import { pathParameters } from './path-parameters.ts';
import type { VerifyToken } from './token-verifier.ts';

export interface CallerFactsReader {
  /** What the database says of a caller now. An empty `organizationId` names no organization: only the own session is judged. */
  read(claims: TokenClaims, organizationId: string): Promise<CallerFacts>;
}

export interface AdminContextDependencies {
  verifyToken: VerifyToken;
  callers: CallerFactsReader;
}

/**
 * The one place that lets a caller in: from the verified token and the path alone, before the body is read and before
 * anything is looked up but the caller's own session and grant. Leaves `admin` for the handler.
 */
export function createAdminContext({ verifyToken, callers }: AdminContextDependencies) {
  return (operation: Operation, pattern: string): MiddlewareHandler<ApiEnv> => {
    const inOrganization = pattern.includes('{org}');
    const readPath = pathParameters(pattern);

    async function decide(
      authorization: string | undefined,
      organizationId: string | null,
    ): Promise<[AdminContext, TokenClaims]> {
      const claims = await verifyToken(bearerToken(authorization));
      const decision = isMachine(claims)
        ? decideMachine(claims, operation, organizationId, inOrganization)
        : await decidePerson(claims, operation, organizationId, inOrganization, callers);
      if (!decision.allowed) throw accessRefusal(decision.code);
      return [decision.context, claims];
    }

    return async function adminContext(c, next) {
      const { org } = readPath(c.req.url);
      const organizationId = org !== undefined && org !== null && isOpaqueId(org) ? org : null;
      const authorization = c.req.header('authorization');
      const [admin, claims] = await decide(authorization, organizationId);
      if (organizationId !== null) c.set('organizationId', organizationId);
      c.set('admin', admin);
      c.set('tokenOrganizationId', claims.organizationId);
      c.set('askAgain', async () => void (await decide(authorization, organizationId)));
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
  if (claims.sessionId === null) return { allowed: false, code: 'unauthenticated' };
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
