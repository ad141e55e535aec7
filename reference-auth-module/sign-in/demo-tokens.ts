import type Provider from 'oidc-provider';
import type pg from 'pg';
import { findPerson } from '../directory.ts';
import { accessTokenTtl, identityClaims } from '../oidc/account.ts';
import { personScope } from '../oidc/clients.ts';
import { issueOfflineAccess } from '../oidc/issue-offline-access.ts';
import type { MintMachineToken, SignAccessToken } from '../session-events/machine-token.ts';
import type { Outbox } from '../session-events/outbox.ts';
import { findOpenSession, type AuthSession } from './auth-session.ts';
import { settleTimeoutMs } from './demo-sign-ins.ts';
import { SignInRefused, type OpenSessions } from './open-sessions.ts';
import type { OpenSupportSession } from './open-support-session.ts';

export interface PersonTokenRequest {
  sub: string;
  org_id: string;
  /** Default: those of the directory; none for somebody unknown to it. */
  roles?: string[] | undefined;
  scope?: string | undefined;
  ttlSeconds?: number | undefined;
  support_access_organization?: string | undefined;
  /** The own session to open a support session from; without it one is opened. */
  parent_session_id?: string | undefined;
}

export interface PersonToken {
  access_token: string;
  session_id: string;
  chain_id?: string;
  refresh_token?: string;
  /** Of a support session: the staff member's own. */
  parent_session_id?: string;
}

export interface DemoTokens {
  forPerson(request: PersonTokenRequest): Promise<PersonToken>;
  forMachine(request: {
    scope: string;
    sub?: string | undefined;
    org_id?: string | undefined;
    ttlSeconds?: number | undefined;
  }): Promise<{ access_token: string }>;
}

/** Signs a person in for real, without the form, and hands out what a client would have got; or a machine's token. */
export function createDemoTokens(deps: Dependencies): DemoTokens {
  const from = { client: 'web', userAgent: 'demo' };

  async function own({ sub, org_id, roles, parent_session_id }: PersonTokenRequest): Promise<AuthSession> {
    if (parent_session_id !== undefined) {
      const parent = await findOpenSession(deps.pool, parent_session_id);
      if (parent?.userId !== sub || parent.organizationId !== org_id)
        throw new SignInRefused('access_denied', 'no such own session');
      return parent;
    }
    const person = await findPerson(deps.pool, org_id, sub);
    const [session] = await deps.openSessions([
      { ...from, organizationId: org_id, userId: sub, roles: roles ?? person?.roles ?? [] },
    ]);
    if (!session) throw new Error('a session that was opened is missing');
    return session;
  }

  async function issue(
    session: AuthSession,
    { scope = personScope, ttlSeconds }: PersonTokenRequest,
  ): Promise<PersonToken> {
    const ttl = accessTokenTtl(session, ttlSeconds ?? deps.accessTokenTtlSeconds);
    const claims = { ...identityClaims(session), sub: session.userId, client_id: from.client, scope };
    const offline =
      scope.split(' ').includes('offline_access') && (await issueOfflineAccess(deps.provider, session, 'web'));
    return {
      access_token: await deps.sign(claims, ttl),
      session_id: session.sessionId,
      ...(offline && { chain_id: offline.chainId, refresh_token: offline.refreshToken }),
      ...(session.parentSession && { parent_session_id: session.parentSession.sessionId }),
    };
  }

  return {
    async forPerson(request) {
      const customer = request.support_access_organization;
      const session = customer ? await deps.openSupportSession(await own(request), customer, from) : await own(request);
      const token = await issue(session, request);
      await deps.outbox.settled([session.sessionId], settleTimeoutMs);
      return token;
    },
    async forMachine({ scope, sub = 'demo-machine', org_id, ttlSeconds = deps.accessTokenTtlSeconds }) {
      return { access_token: await deps.mint({ scope, ttlSeconds, subject: sub, organizationId: org_id }) };
    },
  };
}

interface Dependencies {
  pool: pg.Pool;
  provider: Provider;
  openSessions: OpenSessions;
  openSupportSession: OpenSupportSession;
  outbox: Pick<Outbox, 'settled'>;
  sign: SignAccessToken;
  mint: MintMachineToken;
  accessTokenTtlSeconds: number;
}
