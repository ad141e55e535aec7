import { errorFields, type Log } from '../log.ts';
import type { SessionService } from '../session-events/session-service.ts';
import type { AuthSession } from './auth-session.ts';
import { SignInRefused, type NewSession, type OpenSessions } from './open-sessions.ts';

export type OpenSupportSession = (
  parent: AuthSession,
  customerOrganizationId: string,
  from: Pick<NewSession, 'client' | 'ipAddress' | 'userAgent'>,
) => Promise<AuthSession>;

const globalAdmin = 'global_admin';

/**
 * Opens a Global Admin's session in a customer's organization, from an open session of their own (the parent).
 *
 * Opened only on an explicit `allow` that names the grant and its end: the session carries that grant's id, so that it
 * is found when the grant ends, and neither it nor any chain of it outlives the grant. Every doubt is a refusal.
 */
export function createOpenSupportSession({ service, openSessions, log }: Dependencies): OpenSupportSession {
  return async function openSupportSession(parent, customerOrganizationId, from) {
    const nested = parent.supportAccessGrantId !== null;
    if (nested || parent.organizationId === customerOrganizationId || !parent.roles.includes(globalAdmin)) {
      throw new SignInRefused(
        'access_denied',
        'support access is for Global Admins signed in to their own organization',
      );
    }
    const answer = await service.checkSupportAccess(customerOrganizationId, parent.userId).catch((error: unknown) => {
      log('no answer to the support access check: sign-in refused', errorFields(error));
      throw new SignInRefused('temporarily_unavailable', 'support access could not be checked; try again in a moment');
    });
    if (answer.decision !== 'allow' || answer.grantId === null || answer.notAfter === null) {
      throw new SignInRefused('access_denied', `no support access to this organization (${answer.reason})`);
    }
    const [session] = await openSessions([
      {
        ...from,
        organizationId: customerOrganizationId,
        userId: parent.userId,
        roles: [globalAdmin],
        expiresAt: new Date(answer.notAfter),
        supportAccessGrantId: answer.grantId,
        parentSession: { organizationId: parent.organizationId, sessionId: parent.sessionId },
      },
    ]);
    if (!session) throw new SignInRefused('access_denied', 'this sign-in was ended before it began');
    return session;
  };
}

interface Dependencies {
  service: Pick<SessionService, 'checkSupportAccess'>;
  openSessions: OpenSessions;
  log: Log;
}
