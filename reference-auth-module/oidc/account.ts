import type { Account, FindAccount, KoaContextWithOIDC } from 'oidc-provider';
import type pg from 'pg';
import { findSession, type AuthSession } from '../sign-in/auth-session.ts';

const sessions = new WeakMap<Account, AuthSession>();

/**
 * To the provider an account is one sign-in, so that a grant can never be shared by two of them: its id is the
 * session's. Where a token is issued, its subject is the person.
 */
export function createFindAccount(pool: pg.Pool): FindAccount {
  return async function findAccount(_ctx, sessionId, token) {
    const session = await findSession(pool, sessionId);
    if (!session) return undefined;
    const account: Account = {
      accountId: token ? session.userId : session.sessionId,
      claims: () => ({ sub: session.userId }),
    };
    sessions.set(account, session);
    return account;
  };
}

/** The sign-in that the present request is about. */
export function sessionOf(ctx: KoaContextWithOIDC | undefined): AuthSession | undefined {
  return ctx?.oidc.account && sessions.get(ctx.oidc.account);
}

/** The claims that say who is calling, beside those of every JWT. */
export function identityClaims(session: AuthSession): Record<string, unknown> {
  return {
    sid: session.sessionId,
    org_id: session.organizationId,
    roles: session.roles,
    auth_time: Math.floor(session.startedAt.getTime() / 1000),
    ...(session.supportAccessGrantId !== null && { support_access_grant_id: session.supportAccessGrantId }),
  };
}

/** An access token ends with its session at the latest: one of a support session never outlives the grant. */
export function accessTokenTtl(session: AuthSession | undefined, ttlSeconds: number): number {
  if (!session) return ttlSeconds;
  const secondsLeft = Math.floor((session.expiresAt.getTime() - Date.now()) / 1000);
  return Math.max(1, Math.min(ttlSeconds, secondsLeft));
}
