import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  type CryptoKey,
  exportJWK,
  generateKeyPair,
  type JWK,
  type JWTHeaderParameters,
  type JWTPayload,
  SignJWT,
} from 'jose';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createSigningKeys } from '../../src/api/signing-keys.ts';
import { createTokenVerifier, type VerifyToken } from '../../src/api/token-verifier.ts';
import { TokenRefusal } from '../../src/api/token-refusal.ts';
import { loadTokenConfig } from '../../src/config.ts';
import { ServiceError } from '../../src/errors.ts';
import type { TrustedIssuer } from '../../src/trusted-issuers.ts';

interface Signer {
  kid: string;
  alg: string;
  privateKey: CryptoKey;
  jwk: JWK;
}
const config = { issuer: 'https://issuer.test', audience: 'sessions' };

async function signer(alg: string, kid: string, isPublished = true): Promise<Signer> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  const made = { kid, alg, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } };
  if (isPublished) published.push(made.jwk);
  return made;
}
const seconds = () => Math.floor(now / 1_000);
const token = ({ privateKey, alg, kid }: Signer, claims: JWTPayload = {}, header: Partial<JWTHeaderParameters> = {}) =>
  new SignJWT({
    iss: config.issuer,
    aud: config.audience,
    sub: 'grace',
    sid: 'hers',
    org_id: 'acme',
    exp: seconds() + 600,
    iat: seconds(),
    ...claims,
  })
    .setProtectedHeader({ alg, kid, ...header })
    .sign(privateKey);

let published: JWK[];
let asked: number;
let outage: 'none' | 'error' | 'hang' | 'nonsense';
let server: Server;
let now: number;
let verify: VerifyToken;

beforeEach(async () => {
  [published, asked, outage, now] = [[], 0, 'none', Date.now()];
  // time is moved, never waited for; only these two clocks are ours
  const [realNow, start] = [performance.now.bind(performance), now];
  vi.spyOn(performance, 'now').mockImplementation(() => realNow() + (now - start));
  server = createServer((_, response) => {
    asked += 1;
    const body = outage === 'nonsense' ? '<html>' : JSON.stringify({ keys: published });
    if (outage !== 'hang') response.writeHead(outage === 'error' ? 503 : 200).end(body);
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const jwksUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`;
  const variables = { JWT_ISSUER: config.issuer, JWT_AUDIENCE: config.audience, JWKS_URL: jwksUrl };
  const tokenConfig = loadTokenConfig({ ...variables, JWT_CLOCK_TOLERANCE_SECONDS: '5' });
  const [issuer] = tokenConfig.issuers as [TrustedIssuer];
  const { key } = createSigningKeys(issuer, pino({ level: 'silent' }));
  verify = createTokenVerifier({ ...tokenConfig, issuers: [{ issuer, keys: key }], now: () => now });
});
afterEach(async () => {
  vi.restoreAllMocks();
  const closed = new Promise((resolve) => server.close(resolve));
  server.closeAllConnections();
  await closed;
});

const verdict = async (jwt: string): Promise<string> => {
  try {
    return (await verify(jwt)).subject;
  } catch (error) {
    if (error instanceof TokenRefusal) return 'unauthenticated';
    return error instanceof ServiceError ? error.code : String(error);
  }
};

describe('algorithms', () => {
  it.each(['ES256', 'EdDSA', 'RS256', 'PS256'])('%s is accepted', async (alg) => {
    expect(await verdict(await token(await signer(alg, 'k')))).toBe('grace');
  });

  it.each(['ES384', 'RS512', 'PS384'])('%s is not', async (alg) => {
    expect(await verdict(await token(await signer(alg, 'k')))).toBe('unauthenticated');
  });

  it('a key counts with its own algorithm only', async () => {
    const rsa = await signer('RS256', 'k');
    const { privateKey } = await generateKeyPair('PS256', { extractable: true });
    expect(await verdict(await token({ ...rsa, privateKey, alg: 'PS256' }))).toBe('unauthenticated');
  });

  it('a key that is published for encryption signs nothing', async () => {
    const key = await signer('ES256', 'k', false);
    published.push({ ...key.jwk, use: 'enc' });
    expect(await verdict(await token(key))).toBe('unauthenticated');
  });
});

describe('what a token says', () => {
  it('a token made for another purpose is no access token', async () => {
    const key = await signer('ES256', 'k');
    for (const typ of ['at+jwt', 'application/at+jwt', 'JWT', undefined])
      expect(await verdict(await token(key, {}, typ === undefined ? {} : { typ })), typ).toBe('grace');
    for (const typ of ['logout+jwt', 'dpop+jwt', 'id_token', ''])
      expect(await verdict(await token(key, {}, { typ })), typ).toBe('unauthenticated');
  });

  it('expiry has no grace; a clock that runs a little ahead is forgiven for `nbf` and `iat`', async () => {
    const key = await signer('ES256', 'k');
    expect(await verdict(await token(key, { exp: seconds() }))).toBe('unauthenticated');
    expect(await verdict(await token(key, { exp: seconds() + 2 }))).toBe('grace');
    for (const claim of ['nbf', 'iat']) {
      expect(await verdict(await token(key, { [claim]: seconds() + 4 })), claim).toBe('grace');
      expect(await verdict(await token(key, { [claim]: seconds() + 7 })), claim).toBe('unauthenticated');
    }
  });

  it('a verified token is not remembered past its expiry', async () => {
    const jwt = await token(await signer('ES256', 'k'), { exp: seconds() + 30 });
    expect(await verdict(jwt)).toBe('grace');
    now += 29_000;
    expect(await verdict(jwt)).toBe('grace');
    now += 1_001;
    expect(await verdict(jwt)).toBe('unauthenticated');
  });

  it('a claim in a wrong form is a malformed token, never an absent claim', async () => {
    const key = await signer('ES256', 'k');
    for (const claims of [
      { roles: null },
      { roles: 5 },
      { roles: [['org_admin']] },
      { sid: '' },
      { sid: 'a\u0000b' },
      { sid: null },
      { org_id: 7 },
      { scope: {} },
      { sub: '' },
      { auth_time: 'now' },
      { auth_time: -1 },
      { auth_time: 1e15 },
      { support_access_grant_id: false },
    ])
      expect(await verdict(await token(key, claims as JWTPayload)), JSON.stringify(claims)).toBe('unauthenticated');
    expect(await verify(await token(key, { roles: 'a org_admin', scope: ['c', 'd'], auth_time: 12.5 }))).toMatchObject({
      roles: ['org-admin'],
      scopes: ['c', 'd'],
      authenticatedAtMs: 12_500,
    });
  });
});

describe('keys', () => {
  it('are asked for once, however many tokens arrive at first', async () => {
    const key = await signer('ES256', 'k');
    const jwts = await Promise.all(Array.from({ length: 20 }, (_, n) => token(key, { jti: `${n}` })));
    expect(new Set(await Promise.all(jwts.map(verdict)))).toEqual(new Set(['grace']));
    expect(asked).toBe(1);
  });

  it('a rotated key is learned from the first token that names it', async () => {
    expect(await verdict(await token(await signer('ES256', 'old')))).toBe('grace');
    const rotated = await signer('ES256', 'new');
    expect(await verdict(await token(rotated))).toBe('grace');
    expect(asked).toBe(2);
  });

  it('unknown key ids do not make this service flood the issuer', async () => {
    const key = await signer('ES256', 'k');
    await verdict(await token(key));
    const strangers = await Promise.all(Array.from({ length: 40 }, (_, n) => signer('ES256', `stranger-${n}`, false)));
    for (const stranger of strangers) expect(await verdict(await token(stranger))).toBe('unauthenticated');
    expect(asked).toBeLessThanOrEqual(1 + 3);
    // nor does that keep the next rotation from being learned
    now += 10_500;
    expect(await verdict(await token(await signer('ES256', 'next')))).toBe('grace');
    expect(await verdict(await token(key))).toBe('grace');
  });

  it('a key that the issuer has removed stops counting within two minutes, for tokens that were seen and for new ones', async () => {
    const [leaked, kept] = [await signer('ES256', 'leaked'), await signer('ES256', 'kept')];
    const jwt = await token(leaked);
    expect(await verdict(jwt)).toBe('grace');
    published = [kept.jwk];
    now += 61_000;
    expect(await verdict(jwt)).toBe('unauthenticated');
    expect(await verdict(await token(leaked))).toBe('unauthenticated');
    expect(await verdict(await token(kept))).toBe('grace');
  });

  it.each(['error', 'nonsense', 'hang'] as const)(
    'while the issuer is away (%s) the known keys go on counting',
    async (how) => {
      const key = await signer('ES256', 'k');
      const jwt = await token(key, { exp: seconds() + 3_600 });
      expect(await verdict(jwt)).toBe('grace');
      outage = how;
      for (let n = 0; n < 2; n += 1) {
        now += 400_000;
        expect(await verdict(jwt)).toBe('grace');
        expect(await verdict(await token(key))).toBe('grace');
      }
      // of a key that it does not know it cannot say that it is wrong
      expect(await verdict(await token(await signer('ES256', 'new')))).toBe('signing-keys-unavailable');
      outage = 'none';
      now += 11_000;
      expect(await verdict(await token(await signer('ES256', 'newer')))).toBe('grace');
    },
  );

  it('without any key no token is judged, and the first answer of the issuer ends that', async () => {
    const jwt = await token(await signer('ES256', 'k'));
    outage = 'error';
    for (let n = 0; n < 5; n += 1) expect(await verdict(jwt)).toBe('signing-keys-unavailable');
    expect(asked).toBe(1);
    outage = 'none';
    now += 1_001;
    expect(await verdict(jwt)).toBe('grace');
  });
});
