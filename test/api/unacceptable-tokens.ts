import { createHmac } from 'node:crypto';
import { type CryptoKey, exportSPKI, generateKeyPair, importJWK, type JWK, type JWTPayload, SignJWT } from 'jose';
import type { Issuer } from '../harness/issuer.ts';

const seconds = () => Math.floor(Date.now() / 1_000);
const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** The `Authorization` headers that let nobody in; each is wrong in one thing only, and `claims` are good. */
export async function unacceptableAuthorizations(
  issuer: Issuer,
  claims: JWTPayload,
): Promise<Record<string, string | null>> {
  const good = await issuer.token(claims);
  const [header = '', payload = '', signature = ''] = good.split('.');
  const signed = async (changes: JWTPayload) => `Bearer ${await issuer.token({ ...claims, ...changes })}`;
  const full = { iss: issuer.issuer, aud: issuer.audience, iat: seconds(), exp: seconds() + 600, ...claims };
  const { keys } = (await (await fetch(issuer.jwksUrl)).json()) as { keys: [JWK] };
  const spki = await exportSPKI((await importJWK(keys[0], 'ES256')) as CryptoKey);
  const symmetric = (secret: string) => {
    const input = `${part({ alg: 'HS256', kid: keys[0].kid, typ: 'at+jwt' })}.${part(full)}`;
    return `Bearer ${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`;
  };
  const stranger = await generateKeyPair('ES256', { extractable: true });
  const byStranger = async (kid: string | undefined) =>
    `Bearer ${await new SignJWT(full).setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', ...(kid === undefined ? {} : { kid }) }).sign(stranger.privateKey)}`;
  return {
    'no token': null,
    'an empty bearer token': 'Bearer ',
    'a token without its scheme': good,
    'another scheme': `Basic ${Buffer.from('admin:admin').toString('base64')}`,
    'two tokens': `Bearer ${good}, Bearer ${good}`,
    'a token that is no JWT': 'Bearer not-a-token',
    'a token whose payload was changed': `Bearer ${header}.${part({ ...full, org_id: 'acme', roles: ['org_admin', 'global_admin'] })}.${signature}`,
    'a token whose signature was cut off': `Bearer ${header}.${payload}.`,
    'an expired token': await signed({ exp: seconds() - 1 }),
    'a token that is not yet valid': await signed({ nbf: seconds() + 60 }),
    'a token of the future': await signed({ iat: seconds() + 60 }),
    'a token without exp': await signed({ exp: undefined }),
    'a token without sub': await signed({ sub: undefined }),
    'alg none': `Bearer ${part({ alg: 'none', typ: 'at+jwt' })}.${part(full)}.`,
    'alg None with the good signature': `Bearer ${part({ alg: 'None', kid: keys[0].kid })}.${payload}.${signature}`,
    'HS256 signed with the public key as PEM': symmetric(spki),
    'HS256 signed with the public key as JWK': symmetric(JSON.stringify(keys[0])),
    'an unknown key under a known id': await byStranger(keys[0].kid),
    'an unknown key': await byStranger('stranger'),
    'an unknown key without an id': await byStranger(undefined),
    'another issuer': await signed({ iss: `${issuer.issuer}/` }),
    'another audience': await signed({ aud: 'another-service' }),
    'roles that are no list': await signed({ roles: null }),
    'a session id that is no text': await signed({ sid: 7 }),
  };
}

/** Its key travels in its own header, where a careless verifier would take it from. */
export async function selfSignedAuthorization(
  issuer: Issuer,
  claims: JWTPayload,
  jwk: JWK,
  privateKey: CryptoKey,
): Promise<string> {
  const full = { iss: issuer.issuer, aud: issuer.audience, iat: seconds(), exp: seconds() + 600, ...claims };
  return `Bearer ${await new SignJWT(full).setProtectedHeader({ alg: 'ES256', jwk }).sign(privateKey)}`;
}
