import { createHash, randomBytes } from 'node:crypto';
import { decodeJwt, type JWTPayload } from 'jose';
import { z } from 'zod';
import { CookieJar, visit } from './cookie-jar.ts';

export interface SignInOptions {
  issuer: string;
  user: string;
  organization: string;
  /** Default: web. */
  client?: 'web' | 'mobile';
  /** A Global Admin's support sign-in to this organization. */
  supportOrganization?: string;
  /** Default: a new browser. Signing in again in the same one makes a new session. */
  cookies?: CookieJar;
  /** Go on in the session that the browser has, instead of signing in anew: a further client of the same session. */
  continueSession?: boolean;
}

export interface SignedIn {
  accessToken: string;
  refreshToken: string;
  idToken: string;
  /** Of the access token; `claims.sid` is the session's id. */
  claims: JWTPayload;
  cookies: CookieJar;
}

/** The Auth Module said no: `error` is OAuth's code, or `sign_in_form` where the form itself was refused. */
export class SignInFailed extends Error {
  readonly error: string;

  constructor(error: string, description: string) {
    super(`${error}: ${description}`);
    this.name = 'SignInFailed';
    this.error = error;
  }
}

const redirectUri = 'http://127.0.0.1/cb';
const Tokens = z.object({ access_token: z.string(), refresh_token: z.string(), id_token: z.string() });
const TokenBody = Tokens.partial()
  .extend({ error: z.string().optional(), error_description: z.string().optional() })
  .loose();

/** Signs in as a browser and its app would: authorization code with PKCE, the form filled in, the code exchanged. */
export async function signIn(options: SignInOptions): Promise<SignedIn> {
  const { issuer, client = 'web', cookies = new CookieJar() } = options;
  const verifier = randomBytes(32).toString('base64url');
  const state = randomBytes(16).toString('base64url');

  const callback = await authorize(options, cookies, verifier, state);
  const { code, state: returned, error, error_description } = Object.fromEntries(callback.searchParams);
  if (error) throw new SignInFailed(error, error_description ?? '');
  if (code === undefined || returned !== state) throw new SignInFailed('invalid_response', 'no code, or another state');

  const answer = await token(issuer, {
    grant_type: 'authorization_code',
    client_id: client,
    code,
    redirect_uri: redirectUri,
    code_verifier: verifier,
  });
  if (answer.status !== 200)
    throw new SignInFailed(answer.body.error ?? `status ${answer.status}`, answer.body.error_description ?? '');
  const { access_token: accessToken, refresh_token: refreshToken, id_token: idToken } = Tokens.parse(answer.body);
  return { accessToken, refreshToken, idToken, claims: decodeJwt(accessToken), cookies };
}

export interface TokenAnswer {
  status: number;
  body: z.infer<typeof TokenBody>;
}

/** Uses a refresh token. The answer as it came: 200 with the next token, or 400 `invalid_grant` once the chain is dead. */
export async function refresh(options: {
  issuer: string;
  client?: string;
  refreshToken: string;
}): Promise<TokenAnswer> {
  const { issuer, client = 'web', refreshToken } = options;
  return token(issuer, { grant_type: 'refresh_token', client_id: client, refresh_token: refreshToken });
}

/** Signs the browser out. Its refresh tokens stay alive: they are for offline access. */
export async function signOut({ issuer, cookies }: { issuer: string; cookies: CookieJar }): Promise<void> {
  const asked = await visit(cookies, new URL('/session/end', issuer));
  const xsrf = /name="xsrf" value="([^"]+)"/.exec(await asked.text())?.[1];
  if (!xsrf) throw new Error(`the sign-out page is not as expected (${asked.status})`);
  const done = await visit(cookies, new URL('/session/end/confirm', issuer), { xsrf, logout: 'yes' });
  if (done.status !== 303) throw new Error(`signing out answered ${done.status}`);
}

async function token(issuer: string, parameters: Record<string, string>): Promise<TokenAnswer> {
  const response = await fetch(new URL('/token', issuer), { method: 'POST', body: new URLSearchParams(parameters) });
  return { status: response.status, body: TokenBody.parse(await response.json()) };
}

/** Follows the Auth Module's redirects until one leads to the app. */
async function authorize(options: SignInOptions, cookies: CookieJar, verifier: string, state: string): Promise<URL> {
  let url = authorizationUrl(options, verifier, state);
  let form: Record<string, string> | undefined;
  for (let steps = 0; steps < 10; steps += 1) {
    const response = await visit(cookies, url, form);
    const next = response.headers.get('location');
    if (next !== null) {
      url = new URL(next, url);
      form = undefined;
      if (url.href.startsWith(redirectUri)) return url;
    } else if (form === undefined && response.status === 200) {
      form = filledIn(options);
    } else {
      throw new SignInFailed('sign_in_form', textOfAlert(await response.text()));
    }
  }
  throw new SignInFailed('invalid_response', 'redirects without end');
}

function authorizationUrl({ issuer, client = 'web' }: SignInOptions, verifier: string, state: string): URL {
  const url = new URL('/auth', issuer);
  url.search = new URLSearchParams({
    client_id: client,
    response_type: 'code',
    redirect_uri: redirectUri,
    scope: 'openid offline_access',
    prompt: 'consent',
    state,
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
  }).toString();
  return url;
}

function filledIn({
  user,
  organization,
  supportOrganization = '',
  continueSession = false,
}: SignInOptions): Record<string, string> {
  return continueSession ? { act: 'continue' } : { act: 'sign-in', user, organization, supportOrganization };
}

function textOfAlert(page: string): string {
  return (/role="alert"[^>]*>([^<]*)</.exec(page)?.[1] ?? 'the page is not as expected').trim();
}
