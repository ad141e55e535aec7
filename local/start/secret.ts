import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/** A random word that stays the same over restarts, readable by the owner only. */
export const keptSecret = (file: string): string => kept(file, () => randomBytes(32).toString('base64url'));

/** A private key, as a JWK, that stays the same over restarts, readable by the owner only. Answers where it lies. */
export function keptSigningKey(file: string): string {
  kept(file, () => JSON.stringify(generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' })));
  return file;
}

function kept(file: string, make: () => string): string {
  if (!existsSync(file)) {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, make(), { mode: 0o600 });
  }
  return readFileSync(file, 'utf8');
}
