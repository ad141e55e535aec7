import { randomBytes } from 'node:crypto';
import { calculateJwkThumbprint, exportJWK, generateKeyPair, type JWK } from 'jose';
import type pg from 'pg';

export interface Keys {
  /** Private, ES256. */
  signing: JWK & { kid: string };
  cookies: string[];
}

/** The same keys for every process and every restart on one database: tokens and cookies outlive the process. */
export async function loadKeys(pool: pg.Pool): Promise<Keys> {
  await pool.query(`insert into auth_settings (name, value) values ('keys', $1) on conflict (name) do nothing`, [
    JSON.stringify(await generateKeys()),
  ]);
  const { rows } = await pool.query<{ value: Keys }>(`select value from auth_settings where name = 'keys'`);
  if (!rows[0]) throw new Error('the keys of the reference Auth Module are gone from its database');
  return rows[0].value;
}

async function generateKeys(): Promise<Keys> {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true });
  const jwk = await exportJWK(privateKey);
  const kid = await calculateJwkThumbprint(jwk);
  return { signing: { ...jwk, kid, use: 'sig', alg: 'ES256' }, cookies: [randomBytes(32).toString('base64url')] };
}
