import { randomUUID } from 'node:crypto';
import type { Claims } from './issuer.ts';
import type { Service } from './service.ts';

export interface Person {
  userId: string;
  /** The session that the token is of. */
  sessionId: string;
  claims: Claims;
  token: string;
}

type Issuing = Pick<Service, 'issuer'>;

/** Somebody with a session of their own, which nothing but the token tells of. */
export async function person({ issuer }: Issuing, given: Claims): Promise<Person> {
  const claims = {
    sub: `person-${randomUUID()}`,
    sid: `sid-${randomUUID()}`,
    auth_time: Math.floor(Date.now() / 1_000),
    ...given,
  };
  return { userId: claims.sub, sessionId: claims.sid, claims, token: await issuer.token(claims) };
}

export const orgAdmin = (service: Issuing, organizationId: string, claims: Claims = {}) =>
  person(service, { roles: ['org_admin'], org_id: organizationId, ...claims });

/** Vendor staff, signed in at the vendor. */
export const globalAdmin = (service: Issuing, claims: Claims = {}) =>
  person(service, { roles: ['global_admin'], org_id: 'vendor', ...claims });

/** A program, which says so by being its own client, and has scopes in the place of roles and a session. */
export function machine({ issuer }: Issuing, scope: string, claims: Claims = {}): Promise<string> {
  const sub = claims.sub ?? `machine-${randomUUID()}`;
  return issuer.token({ client_id: sub, scope, ...claims, sub });
}
