import type pg from 'pg';
import type { Clock } from '../clock.ts';
import { findPerson, type Person } from '../directory.ts';
import { findOpenSession, type AuthSession } from './auth-session.ts';
import { endSessionsAndTell } from './end-sessions.ts';
import type { NewSession, OpenSessions } from './open-sessions.ts';
import type { OpenSupportSession } from './open-support-session.ts';

export interface SignInRequest {
  user: string;
  organization: string;
  /** Empty: an ordinary sign-in. */
  supportOrganization: string;
}

export type SignInOrigin = Pick<NewSession, 'client' | 'ipAddress' | 'userAgent'>;
export type SignInAtForm = (
  request: SignInRequest,
  current: AuthSession | undefined,
  from: SignInOrigin,
) => Promise<AuthSession>;

export class UnknownPerson extends Error {}

/**
 * Signs in whoever the form names; always a new session. A support sign-in also needs a session of the person's own:
 * the browser's present one where it is theirs, else one that is opened for it, and ended again if support is refused.
 */
export function createSignInAtForm({ pool, clock, openSessions, openSupportSession }: Dependencies): SignInAtForm {
  return async function signInAtForm(request, current, from) {
    const person = await findPerson(pool, request.organization, request.user);
    if (!person)
      throw new UnknownPerson(`There is no user “${request.user}” in the organization “${request.organization}”.`);
    if (request.supportOrganization === '') return open(person, from);

    const present = await ownSession(current, person);
    const own = present ?? (await open(person, from));
    try {
      return await openSupportSession(own, request.supportOrganization, from);
    } catch (error) {
      if (!present) await endSessionsAndTell({ pool, clock }, [own.sessionId], 'refused');
      throw error;
    }
  };

  async function open({ organizationId, userId, roles }: Person, from: SignInOrigin): Promise<AuthSession> {
    const [session] = await openSessions([{ ...from, organizationId, userId, roles }]);
    if (!session) throw new Error('a session that was opened is missing');
    return session;
  }

  /** A browser in a support session is still that person's: its parent counts, so support sessions never nest. */
  async function ownSession(current: AuthSession | undefined, person: Person): Promise<AuthSession | undefined> {
    const own = current?.parentSession ? await findOpenSession(pool, current.parentSession.sessionId) : current;
    return own?.userId === person.userId && own.organizationId === person.organizationId ? own : undefined;
  }
}

interface Dependencies {
  pool: pg.Pool;
  clock: Clock;
  openSessions: OpenSessions;
  openSupportSession: OpenSupportSession;
}
