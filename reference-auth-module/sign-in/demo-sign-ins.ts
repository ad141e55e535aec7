import type Provider from 'oidc-provider';
import type pg from 'pg';
import type { Clock } from '../clock.ts';
import { findPerson } from '../directory.ts';
import type { ClientId } from '../oidc/clients.ts';
import { issueOfflineAccess } from '../oidc/issue-offline-access.ts';
import type { Outbox } from '../session-events/outbox.ts';
import type { AuthSession } from './auth-session.ts';
import { endSessionsAndTell } from './end-sessions.ts';
import type { OpenSessions } from './open-sessions.ts';

export interface DemoSignIn {
  sessionId: string;
  chainId: string;
  refreshToken: string;
  clientId: ClientId;
}

export interface DemoSignIns {
  /** One session for each entry of `users`, one chain for each client in it. A refused one is left out. */
  open(wanted: { organizationId: string; users: string[]; clients: ClientId[] }): Promise<DemoSignIn[]>;
  /** As when the user signs out: chains live on. Returns the ids that this call ended. */
  end(sessionIds: string[]): Promise<string[]>;
}

/** Answers wait this long, at most, for the Session Management Service to have been told of the chains too. */
export const settleTimeoutMs = 5000;
const atOnce = 12;

export function createDemoSignIns({ pool, clock, provider, openSessions, outbox }: Dependencies): DemoSignIns {
  async function rolesOf(organizationId: string, users: string[]): Promise<Map<string, string[]>> {
    const known = new Map<string, string[]>();
    for (const user of new Set(users)) known.set(user, (await findPerson(pool, organizationId, user))?.roles ?? []);
    return known;
  }

  async function issueAll(sessions: AuthSession[], clients: ClientId[]): Promise<DemoSignIn[]> {
    const wanted = sessions.flatMap((session) => clients.map((clientId) => ({ session, clientId })));
    const issued: DemoSignIn[] = [];
    const queue = wanted.values();
    const worker = async () => {
      for (const { session, clientId } of queue) {
        // a session that was ended meanwhile refuses its chain: it is left out like one that was never accepted
        const access = await issueOfflineAccess(provider, session, clientId).catch(refusalOnly);
        if (access) issued.push({ sessionId: session.sessionId, clientId, ...access });
      }
    };
    await Promise.all(Array.from({ length: atOnce }, worker));
    return issued;
  }

  return {
    async open({ organizationId, users, clients }) {
      const roles = await rolesOf(organizationId, users);
      const sessions = await openSessions(
        users.map((userId) => ({
          organizationId,
          userId,
          roles: roles.get(userId) ?? [],
          client: clients.join(' '),
          userAgent: 'demo',
        })),
      );
      const issued = await issueAll(sessions, clients);
      await outbox.settled(
        sessions.map((session) => session.sessionId),
        settleTimeoutMs,
      );
      return issued;
    },
    async end(sessionIds) {
      const ended = await endSessionsAndTell({ pool, clock }, sessionIds, 'signed-out');
      await outbox.settled(ended, settleTimeoutMs);
      return ended;
    },
  };
}

interface Dependencies {
  pool: pg.Pool;
  clock: Clock;
  provider: Provider;
  openSessions: OpenSessions;
  outbox: Pick<Outbox, 'settled'>;
}

function refusalOnly(error: unknown): undefined {
  const isRefusal =
    error instanceof Error && 'error' in error && (error.error === 'access_denied' || error.error === 'invalid_grant');
  if (!isRefusal) throw error;
}
