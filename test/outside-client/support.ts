import type { Chain } from './auth-module.ts';
import { newId, type Organization, signIn } from './organization.ts';
import type { Event } from './session-events.ts';
import type { Service } from './service.ts';

export const vendor = 'vendor';

export interface SupportSession extends Chain {
  /** The staff member's own session at the vendor. */
  parent: Chain;
}

/** Vendor staff who are signed in at the vendor, and step into an organization under its grant. */
export async function openSupportSession(
  service: Service,
  { id }: Organization,
  { userId, grantId, ...fields }: { userId: string; grantId: string } & Partial<Event>,
): Promise<SupportSession> {
  const parent = await signIn(service, { organizationId: vendor, userId, sessionId: newId('own') });
  const chain = await signIn(service, {
    organizationId: id,
    userId,
    startedAt: new Date().toISOString(),
    supportAccessGrantId: grantId,
    parentSession: { organizationId: vendor, sessionId: parent.sessionId },
    ...fields,
  });
  return { ...chain, parent };
}
