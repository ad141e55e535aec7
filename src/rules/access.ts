/** Who may do what, as data: one table, read by the middleware in `api/admin-context.ts`. */
import type { Actor } from './termination.ts';

export const operations = [
  'sessions.read',
  'sessions.terminate',
  'terminations.read',
  'grants.read',
  'grants.create',
  'grants.change',
  'grants.revoke',
  'flag.read',
  'flag.write',
  'flag.clear',
  'audit.read',
  'session-events.ingest',
  'support-access.check',
] as const;
export type Operation = (typeof operations)[number];

/** What each kind of caller may do inside the organization it acts for. */
export const permissions: Record<'org-admin' | 'global-admin', ReadonlySet<Operation>> = {
  'org-admin': new Set<Operation>([
    'sessions.read',
    'sessions.terminate',
    'terminations.read',
    'grants.read',
    'grants.create',
    'grants.change',
    'grants.revoke',
    'flag.read',
    'flag.write',
    'flag.clear',
    'audit.read',
  ]),
  // giving access back, never taking more of it
  'global-admin': new Set<Operation>([
    'sessions.read',
    'sessions.terminate',
    'terminations.read',
    'grants.read',
    'grants.revoke',
    'flag.read',
    'flag.clear',
    'audit.read',
  ]),
};

/** What each machine scope permits; a machine has a token with neither `roles` nor `sid`. */
export const machineScopes: Readonly<Record<string, ReadonlySet<Operation>>> = {
  'sessions:ingest': new Set<Operation>(['session-events.ingest']),
  'support-access:check': new Set<Operation>(['support-access.check']),
  'support-access:manage': new Set<Operation>([
    'flag.read',
    'flag.write',
    'flag.clear',
    'grants.create',
    'grants.change',
    'grants.revoke',
    'grants.read',
  ]),
};

/** What a verified token says, with the names of its claims resolved. */
export interface TokenClaims {
  subject: string;
  /** `null`: the claim is absent, as in a machine's token. */
  roles: readonly string[] | null;
  organizationId: string | null;
  sessionId: string | null;
  scopes: readonly string[];
  supportAccessGrantId: string | null;
  /** `auth_time`, else `iat`: when a session without a row began. Milliseconds since the epoch. */
  authenticatedAtMs: number;
}

/** What the database says of a caller at this instant, read once a request. */
export interface CallerFacts {
  /** The caller's own session has been ended here. */
  ownSessionEnded: boolean;
  /** The grant that the caller's own session was opened under. */
  sessionGrantId: string | null;
  /** A grant of the path's organization that is live now for this person: the one of the session, where it has one. */
  liveGrantId: string | null;
}

/** Who is calling, in which role, for which organization, through which own session. */
export interface AdminContext {
  kind: 'org-admin' | 'global-admin' | 'machine';
  actorId: string;
  organizationId: string;
  sessionId: string | null;
  /** The caller's own session is one of this organization: ids of sessions are an organization's own, and elsewhere the same id is a stranger's. */
  isSessionHere: boolean;
  /** The grant a Global Admin acts under. */
  supportAccessGrantId: string | null;
  /** What the verified token says and what it was let in for: a decision judges it again in its own transaction. */
  claims: TokenClaims;
  operation: Operation;
}

export type AccessRefusal =
  'unauthenticated' | 'session-ended' | 'role-required' | 'organization-forbidden' | 'support-access-required';
export type AccessDecision = { allowed: true; context: AdminContext } | { allowed: false; code: AccessRefusal };

const refuse = (code: AccessRefusal): AccessDecision => ({ allowed: false, code });

/** A token of a support session is a person's, whatever else it lacks. */
export const isMachine = (claims: TokenClaims): boolean =>
  claims.roles === null && claims.sessionId === null && claims.supportAccessGrantId === null;

/** A machine's right comes from its scopes alone; with `org_id` it speaks for that organization only. */
export function decideMachineAccess(
  claims: TokenClaims,
  operation: Operation,
  organizationId: string | null,
): AccessDecision {
  const permitted = claims.scopes.some(
    (scope) => Object.hasOwn(machineScopes, scope) && machineScopes[scope]?.has(operation),
  );
  if (!permitted) return refuse('role-required');
  if (organizationId !== null && claims.organizationId !== null && claims.organizationId !== organizationId)
    return refuse('role-required');
  return {
    allowed: true,
    context: {
      kind: 'machine',
      actorId: claims.subject,
      organizationId: organizationId ?? '',
      sessionId: null,
      isSessionHere: false,
      supportAccessGrantId: null,
      claims,
      operation,
    },
  };
}

/**
 * Whether this person may perform `operation` in `organizationId` now. A support session, told by the token or by the
 * session's row, is a Global Admin's under its grant, whatever `roles` and `org_id` say.
 */
export function decidePersonAccess(
  claims: TokenClaims,
  facts: CallerFacts,
  operation: Operation,
  organizationId: string,
): AccessDecision {
  if (claims.sessionId === null) return refuse('unauthenticated');
  if (facts.ownSessionEnded) return refuse('session-ended');
  const isSupportSession = claims.supportAccessGrantId !== null || facts.sessionGrantId !== null;
  const roles = claims.roles ?? [];
  if (!isSupportSession && roles.includes('org_admin') && claims.organizationId === organizationId) {
    return decide('org-admin', null);
  }
  if (isSupportSession || roles.includes('global_admin')) {
    return facts.liveGrantId === null ? refuse('support-access-required') : decide('global-admin', facts.liveGrantId);
  }
  return refuse(roles.includes('org_admin') ? 'organization-forbidden' : 'role-required');

  function decide(kind: 'org-admin' | 'global-admin', supportAccessGrantId: string | null): AccessDecision {
    // an administrator may do everything here; what a Global Admin may not do, no grant permits
    if (!permissions[kind].has(operation)) return refuse('support-access-required');
    return {
      allowed: true,
      context: {
        kind,
        actorId: claims.subject,
        organizationId,
        sessionId: claims.sessionId,
        isSessionHere: isSupportSession || (claims.organizationId ?? organizationId) === organizationId,
        supportAccessGrantId,
        claims,
        operation,
      },
    };
  }
}

/** The caller as the audit records it. */
export const actorOf = (context: AdminContext): Actor => ({
  kind: context.kind,
  id: context.actorId,
  sessionId: context.sessionId,
  supportAccessGrantId: context.supportAccessGrantId,
});
