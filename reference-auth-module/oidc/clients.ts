import type { ClientMetadata } from 'oidc-provider';

export const clientIds = ['web', 'mobile'] as const;
export type ClientId = (typeof clientIds)[number];

/** What every client asks for: without `offline_access` there is no refresh token. */
export const personScope = 'openid offline_access';

/** The one resource that access tokens are for; what stands in their `aud` is configuration. */
export const resource = 'urn:session-management';

/** Public clients on the user's own machine (RFC 8252): PKCE instead of a secret, the loopback address on any port. */
export const clients: ClientMetadata[] = clientIds.map((clientId) => ({
  client_id: clientId,
  token_endpoint_auth_method: 'none',
  application_type: 'native',
  redirect_uris: ['http://127.0.0.1/cb'],
  grant_types: ['authorization_code', 'refresh_token'],
  response_types: ['code'],
  scope: personScope,
  id_token_signed_response_alg: 'ES256',
}));
