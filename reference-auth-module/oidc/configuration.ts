import { errors, type Configuration, type ResourceServer } from 'oidc-provider';
import type pg from 'pg';
import type { Clock } from '../clock.ts';
import { renderErrorPage, renderSignedOutPage, renderSignOutPage } from '../http/provider-pages.ts';
import type { Keys } from '../keys.ts';
import { accessTokenTtl, createFindAccount, identityClaims, sessionOf } from './account.ts';
import { createAdapterFactory } from './adapter.ts';
import { clients, personScope, resource } from './clients.ts';

export interface ProviderOptions {
  pool: pg.Pool;
  clock: Clock;
  keys: Keys;
  audience: string;
  accessTokenTtlSeconds: number;
}

const day = 24 * 60 * 60;

export function createConfiguration(options: ProviderOptions): Configuration {
  const { pool, clock, keys } = options;
  return {
    adapter: createAdapterFactory({ pool, clock }),
    jwks: { keys: [{ ...keys.signing, kty: 'EC' }] },
    cookies: { keys: keys.cookies },
    clients,
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    enabledJWA: { idTokenSigningAlgValues: ['ES256'] },
    scopes: personScope.split(' '),
    claims: { openid: ['sub'] },
    pkce: { required: () => true },
    rotateRefreshToken: true,
    // A refresh token is for offline access: signing out of the browser leaves it alive.
    expiresWithSession: async () => false,
    issueRefreshToken: async (_ctx, client, code) =>
      client.grantTypeAllowed('refresh_token') && code.scopes.has('offline_access'),
    // The adapters cut each of these to the end of the session.
    ttl: {
      AccessToken: (ctx) => accessTokenTtl(sessionOf(ctx), options.accessTokenTtlSeconds),
      AuthorizationCode: 60,
      RefreshToken: 14 * day,
      Grant: 30 * day,
      Session: 14 * day,
      Interaction: 600,
      IdToken: 300,
    },
    interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
    findAccount: createFindAccount(pool),
    extraTokenClaims(ctx) {
      const session = sessionOf(ctx);
      return session && identityClaims(session);
    },
    renderError: renderErrorPage,
    features: {
      devInteractions: { enabled: false },
      userinfo: { enabled: false },
      revocation: { enabled: true, allowedPolicy: (_ctx, client, token) => token.clientId === client.clientId },
      rpInitiatedLogout: {
        enabled: true,
        logoutSource: renderSignOutPage,
        postLogoutSuccessSource: renderSignedOutPage,
      },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => resource,
        useGrantedResource: () => true,
        getResourceServerInfo(_ctx, indicator) {
          if (indicator !== resource) throw new errors.InvalidTarget();
          return resourceServer(options.audience);
        },
      },
    },
  };
}

function resourceServer(audience: string): ResourceServer {
  return { audience, scope: personScope, accessTokenFormat: 'jwt', jwt: { sign: { alg: 'ES256' } } };
}
