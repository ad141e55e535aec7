import { randomUUID } from 'node:crypto';
import type { JWTPayload } from 'jose';
import { started } from '../harness/events.ts';
import type { Planted } from './planted-organization.ts';
import type { Route } from './route-table.ts';

const inOneHour = new Date(Date.now() + 3_600_000).toISOString();
/** A body that each route accepts; a new route is not complete without one. */
const acceptedBodies: Record<string, () => unknown> = {
  terminateSession: () => ({ reason: 'lost' }),
  terminateAllSessions: () => ({}),
  terminateOrganizationSessions: () => ({}),
  createSupportAccessGrant: () => ({ userId: 'somebody', expiresAt: inOneHour }),
  changeSupportAccessGrant: () => ({ expiresAt: inOneHour }),
  revokeSupportAccessGrant: () => ({}),
  allowSupportAccess: () => ({ allowUntil: inOneHour }),
  recordSessionEvents: () => ({
    events: [started({ organizationId: 'acme', userId: 'new', sessionId: randomUUID() })],
  }),
  checkSupportAccess: () => ({ organizationId: 'acme', userId: 'insider', role: 'global_admin' }),
};
export const bodyOf = ({ operationId, hasBody }: Route): unknown => {
  if (!hasBody) return undefined;
  const body = acceptedBodies[operationId];
  if (body === undefined) throw new Error(`give ${operationId} a body that it accepts`);
  return body();
};

export interface Ids {
  org?: string;
  user?: string;
  session?: string;
  id?: string;
}
/** The documented path with ids of the planted organization, unless others are given. */
export const pathOf = ({ path }: Route, acme: Planted, ids: Ids = {}): string => {
  const own = {
    org: 'acme',
    user: acme.userId,
    session: acme.sessionIds[1],
    id: path.includes('/terminations/') ? acme.terminationId : acme.grantId,
  };
  return path.replaceAll(/\{(\w+)\}/g, (_, name: keyof Ids) => ids[name] ?? own[name] ?? '');
};

/** The scope of an operation that is a machine's alone. */
export const scopeOf: Record<string, string> = {
  'session-events.ingest': 'sessions:ingest',
  'support-access.check': 'support-access:check',
};
/** What the one who may make this call says of themselves. */
export const properClaims = ({ operation }: Route): JWTPayload => {
  const scope = scopeOf[operation];
  return scope === undefined
    ? { sub: 'admin', roles: ['org_admin'], org_id: 'acme', sid: 'sid-of-admin' }
    : { sub: 'machine', client_id: 'machine', scope };
};
