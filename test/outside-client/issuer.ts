import { randomUUID } from 'node:crypto';
import { exportJWK, exportSPKI, generateKeyPair, type JWTPayload, SignJWT, UnsecuredJWT } from 'jose';
import { startHttpServer } from './http-server.ts';

export const algorithms = ['ES256', 'EdDSA', 'RS256', 'PS256'] as const;
export type Algorithm = (typeof algorithms)[number];
export type Claims = JWTPayload & Record<string, unknown>;

export interface Issuer {
  issuer: string;
  audience: string;
  jwksUrl: string;
  /** How often somebody has fetched the keys. */
  fetches(): number;
  /** A good token, but for the claims given; `undefined` leaves a claim out. */
  token(claims: Claims, algorithm?: Algorithm): Promise<string>;
  /** Of a key that was never published, under a published or an unknown id. */
  forged(claims: Claims, keyId: 'published' | 'unknown'): Promise<string>;
  /** The published key of ES256 abused as the secret of HS256. */
  symmetric(claims: Claims): Promise<string>;
  unsigned(claims: Claims): string;
  stop(): Promise<void>;
}

/** Who signs the tokens: one published key for each algorithm, kept in memory. */
export async function startIssuer(): Promise<Issuer> {
  const pairs = await Promise.all(algorithms.map((algorithm) => generateKeyPair(algorithm, { extractable: true })));
  const keys = await Promise.all(
    algorithms.map(async (alg, index) => ({
      ...(await exportJWK(pairs[index]!.publicKey)),
      alg,
      kid: alg,
      use: 'sig',
    })),
  );
  const stranger = await generateKeyPair('ES256');
  let fetches = 0;
  const server = await startHttpServer((_request, response) => {
    fetches += 1;
    response.setHeader('content-type', 'application/json').end(JSON.stringify({ keys }));
  });
  const audience = 'session-management';
  const standard = (): Claims => {
    const now = Math.floor(Date.now() / 1_000);
    return { iss: server.url, aud: audience, iat: now, exp: now + 3_600, jti: randomUUID() };
  };
  const unsealed = (claims: Claims, alg: string, kid: string) =>
    new SignJWT({ ...standard(), ...claims }).setProtectedHeader({ alg, kid, typ: 'at+jwt' });
  return {
    issuer: server.url,
    audience,
    jwksUrl: `${server.url}/keys`,
    fetches: () => fetches,
    token: (claims, algorithm = 'ES256') =>
      unsealed(claims, algorithm, algorithm).sign(pairs[algorithms.indexOf(algorithm)]!.privateKey),
    forged: (claims, keyId) =>
      unsealed(claims, 'ES256', keyId === 'published' ? 'ES256' : randomUUID()).sign(stranger.privateKey),
    symmetric: async (claims) =>
      unsealed(claims, 'HS256', 'ES256').sign(new TextEncoder().encode(await exportSPKI(pairs[0]!.publicKey))),
    unsigned: (claims) => new UnsecuredJWT({ ...standard(), ...claims }).encode(),
    stop: () => server.stop(),
  };
}
