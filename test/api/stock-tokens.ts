/** Access tokens as identity providers issue them when nothing about them was configured, but for ids and times. */
import {
  createLocalJWKSet,
  type CryptoKey,
  exportJWK,
  generateKeyPair,
  type JWK,
  type JWTPayload,
  SignJWT,
} from 'jose';
import { loadTokenConfig } from '../../src/config.ts';
import type { KeyedIssuer } from '../../src/api/token-verifier.ts';

export const keycloak = 'https://id.example.com/realms/acme';
export const auth0 = 'https://example.eu.auth0.com/';
export const entra = 'https://login.microsoftonline.com/9122040d-6c67-4c5b-b112-36a304b66dad/v2.0';

/** What an operator writes for the three. */
export const entries = [
  {
    issuer: keycloak,
    audience: 'account',
    organization: 'acme',
    claims: { roles: 'realm_access.roles' },
    roles: { orgAdmin: ['realm-admin', 'session-admin'] },
    machines: { 'session-reporter': 'sessions:ingest' },
  },
  {
    issuer: auth0,
    audience: 'https://sessions.example.com',
    claims: { roles: 'https://example.com/roles', session: 'https://example.com/sid' },
    machines: { mWbKxzq1Yk4TnWnGQDFwE7nNUSX3yqkT: 'support-access:check' },
  },
  {
    issuer: entra,
    audience: '6e74172b-be56-4843-9ff4-e66a39bb12e3',
    organization: 'contoso',
    claims: { organization: 'organization_id', scope: 'scp' },
    roles: { orgAdmin: ['Sessions.Admin'] },
    machines: { '0a3c5d1e-5b1c-4c3f-9b1d-2f0d6a7b8c9d': 'sessions:ingest support-access:check' },
  },
];

export const people = {
  keycloak: {
    jti: 'onrtac:5ab0c2a4-3a8c-4a8e-8f5e-0c7d6a1b2c3d',
    iss: keycloak,
    aud: 'account',
    sub: '7d5a31a9-6f6e-4bb7-a0a6-6e8a6d0e6f10',
    typ: 'Bearer',
    azp: 'admin-frontend',
    sid: 'Zl3C4vY0mQxJt2gqkN8b1w6A',
    acr: '1',
    realm_access: { roles: ['offline_access', 'realm-admin', 'uma_authorization', 'default-roles-acme'] },
    resource_access: { account: { roles: ['manage-account', 'view-profile'] } },
    scope: 'openid profile email',
    email_verified: true,
    name: 'Ada Lovelace',
    preferred_username: 'ada',
    given_name: 'Ada',
    family_name: 'Lovelace',
    email: 'ada@example.com',
  },
  auth0: {
    'https://example.com/roles': ['org_admin'],
    'https://example.com/sid': 'J1kUY0x2l9BtnDJ2',
    iss: auth0,
    sub: 'auth0|64b7f2a1c9e77a1f3c0a9d11',
    aud: ['https://sessions.example.com', 'https://example.eu.auth0.com/userinfo'],
    azp: 'kq2vS9bXW5gD1R0pNl7YtA8cUeZm3HfJ',
    org_id: 'org_9ybsU1dN2dKfDkBi',
    scope: 'openid profile',
  },
  entra: {
    aud: '6e74172b-be56-4843-9ff4-e66a39bb12e3',
    iss: entra,
    azp: '5c2f1e0d-9b8a-4f7e-8d6c-3b2a1f0e9d8c',
    azpacr: '0',
    name: 'Ada Lovelace',
    oid: 'b2f0c9d8-7e6f-4a5b-9c8d-1e2f3a4b5c6d',
    preferred_username: 'ada@contoso.example',
    rh: '0.AXoADQQikWdsW0yxEjajBLZtrQ',
    roles: ['Sessions.Admin'],
    groups: ['3c1b0a9f-8e7d-4c6b-a5f4-e3d2c1b0a9f8'],
    scp: 'access_as_user',
    sid: '005d2f7e-1a2b-4c3d-8e9f-0a1b2c3d4e5f',
    sub: 'hKgVcQ8oM3y1rBxT5nZpLw7uJfDaSe2iXkC9vRm0YtE',
    tid: '9122040d-6c67-4c5b-b112-36a304b66dad',
    uti: 'x7Qm2Lw9pUiVb4Kd0nTzAA',
    ver: '2.0',
  },
} satisfies Record<string, JWTPayload>;

export const machines = {
  keycloak: {
    jti: 'trrtcc:0f1e2d3c-4b5a-4968-8776-655443322110',
    iss: keycloak,
    aud: 'account',
    sub: 'f0a7c1de-2a61-4d0d-9b36-8a2f1b9c0e77',
    typ: 'Bearer',
    azp: 'session-reporter',
    acr: '1',
    realm_access: { roles: ['offline_access', 'uma_authorization', 'default-roles-acme'] },
    resource_access: { account: { roles: ['manage-account', 'view-profile'] } },
    scope: 'profile email',
    email_verified: false,
    clientHost: '192.0.2.10',
    preferred_username: 'service-account-session-reporter',
    clientAddress: '192.0.2.10',
    client_id: 'session-reporter',
  },
  auth0: {
    iss: auth0,
    sub: 'mWbKxzq1Yk4TnWnGQDFwE7nNUSX3yqkT@clients',
    aud: 'https://sessions.example.com',
    azp: 'mWbKxzq1Yk4TnWnGQDFwE7nNUSX3yqkT',
    gty: 'client-credentials',
    scope: 'read:anything',
  },
  entra: {
    aud: '6e74172b-be56-4843-9ff4-e66a39bb12e3',
    iss: entra,
    azp: '0a3c5d1e-5b1c-4c3f-9b1d-2f0d6a7b8c9d',
    azpacr: '1',
    oid: '4d3c2b1a-0f9e-4d8c-b7a6-95847362514f',
    roles: ['Sessions.Admin'],
    sub: '4d3c2b1a-0f9e-4d8c-b7a6-95847362514f',
    tid: '9122040d-6c67-4c5b-b112-36a304b66dad',
    ver: '2.0',
  },
} satisfies Record<string, JWTPayload>;

export type Provider = keyof typeof people;
export const providers = ['keycloak', 'auth0', 'entra'] as const;

export interface StockIssuers {
  keyed: readonly KeyedIssuer[];
  clockToleranceSeconds: number;
  sign(provider: Provider, claims: JWTPayload): Promise<string>;
}

/** Signs them as these providers do, RS256 and `typ: JWT`, with keys of our own; Keycloak's set also holds an encryption key. */
export async function stockIssuers(): Promise<StockIssuers> {
  const config = loadTokenConfig({ TRUSTED_ISSUERS: JSON.stringify(entries) });
  const keys: Record<string, CryptoKey> = {};
  const keyed: KeyedIssuer[] = [];
  for (const [n, provider] of providers.entries()) {
    const { privateKey, publicKey } = await generateKeyPair('RS256');
    const encryption = await generateKeyPair('RSA-OAEP');
    const set: JWK[] = [
      { ...(await exportJWK(encryption.publicKey)), kid: 'enc', use: 'enc', alg: 'RSA-OAEP' },
      { ...(await exportJWK(publicKey)), kid: 'sig', use: 'sig', alg: 'RS256' },
    ];
    keys[provider] = privateKey;
    keyed.push({ issuer: config.issuers[n]!, keys: createLocalJWKSet({ keys: set }) });
  }
  const seconds = () => Math.floor(Date.now() / 1_000);
  return {
    keyed,
    clockToleranceSeconds: config.clockToleranceSeconds,
    sign: (provider, claims) =>
      new SignJWT({ iat: seconds(), exp: seconds() + 300, ...claims })
        .setProtectedHeader({ alg: 'RS256', typ: 'JWT', kid: 'sig' })
        .sign(keys[provider]!),
  };
}
