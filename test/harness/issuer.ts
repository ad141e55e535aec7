import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, type JWTHeaderParameters, type JWTPayload, SignJWT } from 'jose';

export interface Issuer {
  issuer: string;
  jwksUrl: string;
  audience: string;
  /** A signed token; `exp`, `iss`, `aud` and `iat` are filled in unless given. Undefined claims are left out. */
  token(
    claims: JWTPayload & {
      roles?: string[];
      org_id?: string;
      sid?: string;
      scope?: string;
      support_access_grant_id?: string;
      auth_time?: number;
    },
    header?: Partial<JWTHeaderParameters>,
  ): Promise<string>;
  close(): Promise<void>;
}

/** A key pair, the JWKS endpoint that publishes it, and the discovery document that names it; all of them say `kid: test`. */
export async function startIssuer(audience = 'session-management-service'): Promise<Issuer> {
  const { privateKey, publicKey } = await generateKeyPair('ES256');
  let issuer = '';
  const jwks = JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: 'test', use: 'sig', alg: 'ES256' }] });
  const server = createServer(({ url }, response) => {
    const found =
      url?.startsWith('/.well-known/') === true ? JSON.stringify({ issuer, jwks_uri: `${issuer}/jwks` }) : jwks;
    response.writeHead(200, { 'content-type': 'application/json' }).end(found);
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    issuer,
    jwksUrl: `${issuer}/jwks`,
    audience,
    token: async (claims, header = {}) => {
      const now = Math.floor(Date.now() / 1_000);
      return new SignJWT({ iss: issuer, aud: audience, iat: now, exp: now + 3_600, ...claims })
        .setProtectedHeader({ alg: 'ES256', kid: 'test', typ: 'at+jwt', ...header })
        .sign(privateKey);
    },
    close: () =>
      new Promise((closed) => {
        server.close(() => closed());
        server.closeAllConnections();
      }),
  };
}
