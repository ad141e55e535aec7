/** Who may do what, as data: one table, read by the middleware in `api/admin-context.ts`. */
import type { RecordedActor } from './termination.ts';

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
export const permissions: Record<Role, ReadonlySet<Operation>> = {
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

/** What each machine scope permits. */
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

export type Role = 'org-admin' | 'global-admin';

/** What a verified token says, its claims found and its role words mapped by the entry of its issuer. */
export interface TokenClaims {
  issuer: string;
  /** Keeps the issuer's callers' keys apart from others'; null for the issuer of `JWT_*`. */
  namespace: string | null;
  /** A machine has scopes and neither roles nor a session; a person has a session and an organization. */
  kind: 'person' | 'machine';
  subject: string;
  roles: readonly Role[];
  organizationId: string | null;
  sessionId: string | null;
  scopes: readonly string[];
  supportAccessGrantId: string | null;
  /** The issuer is trusted to say that somebody is a Global Admin, or in a support session. */
  maySupport: boolean;
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
  /** Who says so. Another issuer's caller of the same id is somebody else. */
  issuer: string;
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
      issuer: claims.issuer,
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
 * session's row, is a Global Admin's under its grant, whatever `roles` and `org_id` say; of an issuer that may not name
 * Global Admins it is nobody's.
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
  const { roles } = claims;
  if (isSupportSession && !claims.maySupport) return refuse('support-access-required');
  if (!isSupportSession && roles.includes('org-admin') && claims.organizationId === organizationId) {
    return decide('org-admin', null);
  }
  if (isSupportSession || roles.includes('global-admin')) {
    return facts.liveGrantId === null ? refuse('support-access-required') : decide('global-admin', facts.liveGrantId);
  }
  return refuse(roles.includes('org-admin') ? 'organization-forbidden' : 'role-required');

  function decide(kind: Role, supportAccessGrantId: string | null): AccessDecision {
    // an administrator may do everything here; what a Global Admin may not do, no grant permits
    if (!permissions[kind].has(operation)) return refuse('support-access-required');
    return {
      allowed: true,
      context: {
        kind,
        actorId: claims.subject,
        issuer: claims.issuer,
        organizationId,
        sessionId: claims.sessionId,
        isSessionHere: isSupportSession || claims.organizationId === organizationId,
        supportAccessGrantId,
        claims,
        operation,
      },
    };
  }
}

/** The caller as it is recorded. */
export const actorOf = (context: AdminContext): RecordedActor => ({
  kind: context.kind,
  id: context.actorId,
  issuer: context.issuer,
  sessionId: context.sessionId,
  supportAccessGrantId: context.supportAccessGrantId,
});
