import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import type { Clock } from '../clock.ts';
import { errorFields, type Log } from '../log.ts';
import { sessionEvent } from '../session-events/session-event.ts';
import type { EventResult, SessionService } from '../session-events/session-service.ts';
import { acceptSessions, insertUnanswered, type AuthSession } from './auth-session.ts';
import { endRejectedSessions, endSessionsAndTell } from './end-sessions.ts';

/** Why a sign-in was refused, in the words of OAuth: what the client is told. */
export class SignInRefused extends Error {
  readonly code: 'access_denied' | 'temporarily_unavailable';

  constructor(code: 'access_denied' | 'temporarily_unavailable', message: string) {
    super(message);
    this.name = 'SignInRefused';
    this.code = code;
  }
}

export interface NewSession {
  organizationId: string;
  userId: string;
  roles: string[];
  client: string;
  ipAddress?: string | undefined;
  userAgent?: string | undefined;
  /** Not later than this, whatever the ordinary lifetime. */
  expiresAt?: Date;
  supportAccessGrantId?: string;
  parentSession?: { organizationId: string; sessionId: string };
}

export type OpenSessions = (wanted: readonly NewSession[]) => Promise<AuthSession[]>;

const sessionLifetimeMs = 30 * 24 * 60 * 60 * 1000;

/**
 * Opens sign-ins, each a session of its own, after the Session Management Service answered `session.started` for it.
 *
 * Returns those that are open. Throws SignInRefused when none is: `access_denied` where the answer was no (or the
 * session was ended meanwhile), `temporarily_unavailable` where there was no answer. Nothing can be issued in a session
 * before this returns it.
 */
export function createOpenSessions({ pool, clock, service, log }: Dependencies): OpenSessions {
  return async function openSessions(wanted) {
    const sessions = wanted.map((session) => stamp(session, clock.now()));
    const ids = sessions.map((session) => session.sessionId);
    await insertUnanswered(pool, sessions);

    const results = await announce(service, sessions).catch(async (error: unknown) => {
      log('no answer to session.started: sign-in refused', errorFields(error));
      // it may have been recorded over there all the same, so its end is told
      await endSessionsAndTell({ pool, clock }, ids, 'unanswered');
      throw new SignInRefused('temporarily_unavailable', 'session management did not answer; try again in a moment');
    });
    const rejected = ids.filter((_id, i) => !isAccepted(results[i]));
    if (rejected.length > 0) await endRejectedSessions(pool, rejected);

    const open = await acceptSessions(pool, ids);
    if (open.size === 0) throw new SignInRefused('access_denied', refusal(results));
    return sessions.filter((session) => open.has(session.sessionId));
  };
}

interface Dependencies {
  pool: pg.Pool;
  clock: Clock;
  service: Pick<SessionService, 'sendEvents'>;
  log: Log;
}

function stamp(session: NewSession, startedAt: Date): AuthSession {
  const ordinaryEnd = new Date(startedAt.getTime() + sessionLifetimeMs);
  const expiresAt = session.expiresAt && session.expiresAt < ordinaryEnd ? session.expiresAt : ordinaryEnd;
  return {
    sessionId: randomUUID(),
    organizationId: session.organizationId,
    userId: session.userId,
    roles: session.roles,
    startedAt,
    expiresAt,
    supportAccessGrantId: session.supportAccessGrantId ?? null,
    parentSession: session.parentSession ?? null,
    ipAddress: session.ipAddress ?? null,
    userAgent: session.userAgent?.slice(0, 512) ?? null,
    client: session.client,
  };
}

async function announce(service: Dependencies['service'], sessions: readonly AuthSession[]): Promise<EventResult[]> {
  return service.sendEvents(
    sessions.map((session) =>
      sessionEvent(
        { eventId: randomUUID(), type: 'session.started', occurredAt: session.startedAt, chainId: null },
        session,
      ),
    ),
  );
}

function isAccepted(result: EventResult | undefined): boolean {
  return result?.outcome === 'accepted' || result?.outcome === 'duplicate';
}

function refusal(results: readonly EventResult[]): string {
  const reason = results.find((result) => result.outcome === 'rejected')?.reason;
  return reason ? `session management refused this sign-in (${reason})` : 'this sign-in was ended before it began';
}
