import type Provider from 'oidc-provider';
import type { AuthSession } from '../sign-in/auth-session.ts';
import { personScope, resource, type ClientId } from './clients.ts';

export interface OfflineAccess {
  chainId: string;
  refreshToken: string;
}

/** Makes a grant of this sign-in to a client, with all that its clients ask for: a new chain, and its event. */
export async function makeChain(provider: Provider, sessionId: string, clientId: string): Promise<string> {
  const grant = new provider.Grant({ accountId: sessionId, clientId });
  grant.addOIDCScope(personScope);
  grant.addResourceScope(resource, personScope);
  return grant.save();
}

/**
 * A new chain with its first refresh token, without a browser: the same models, stores and refusals as the
 * authorization code flow, so that what comes out is refreshed at the token endpoint like any other.
 */
export async function issueOfflineAccess(
  provider: Provider,
  session: AuthSession,
  clientId: ClientId,
): Promise<OfflineAccess> {
  const client = await provider.Client.find(clientId);
  if (!client) throw new Error(`no such client: ${clientId}`);
  const chainId = await makeChain(provider, session.sessionId, clientId);
  const token = new provider.RefreshToken({
    accountId: session.sessionId,
    authTime: Math.floor(session.startedAt.getTime() / 1000),
    client,
    grantId: chainId,
    gty: 'authorization_code',
    resource,
    rotations: 0,
    scope: personScope,
  });
  return { chainId, refreshToken: await token.save() };
}
