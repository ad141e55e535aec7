import { refresh, signIn, type SignInOptions } from '../../reference-auth-module/client.ts';
import type { Narrator } from './narrator.ts';

/** Somebody's browser or app: it signs in as a person would, and keeps the newest refresh token. */
export interface Device {
  name: string;
  accessToken: string;
  sessionId: string;
  /** Tries the refresh token, and shows what the Auth Module answers. */
  tryRefresh(expected: 'works' | 'is refused'): Promise<void>;
}

/** A real authorization code flow with PKCE through the sign-in form. */
export async function signInDevice(options: SignInOptions, name: string, narrator: Narrator): Promise<Device> {
  const { issuer, client = 'web' } = options;
  const signedIn = await signIn(options);
  const sessionId = String(signedIn.claims['sid']);
  const { accessToken, refreshToken } = signedIn;
  const answer = { status: 200, body: { access_token: accessToken, refresh_token: refreshToken, sid: sessionId } };
  narrator.shown(
    `${name}: authorization code + PKCE as ${options.user} of ${options.organization}, client ${client}`,
    answer,
    [200],
  );

  let newest = refreshToken;
  return {
    name,
    accessToken,
    sessionId,
    async tryRefresh(expected) {
      const result = await refresh({ issuer, client, refreshToken: newest });
      const call = `${name}: POST ${issuer}/token grant_type=refresh_token refresh_token=${newest.slice(0, 8)}…`;
      const { id_token: _unused, ...body } = result.body;
      narrator.shown(call, { status: result.status, body }, expected === 'works' ? [200] : [400]);
      newest = result.body.refresh_token ?? newest;
    },
  };
}
