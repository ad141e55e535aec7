import { createRemoteJWKSet, errors, type JWTVerifyGetKey } from 'jose';
import type { Logger } from 'pino';
import { ServiceError } from '../errors.ts';

const TIMEOUT_MS = 2_000;
const MAX_AGE_MS = 60_000;
/** How long nothing is asked for after an attempt: while there are no keys at all, and while old ones can be used. */
const RETRY_MS = { none: 1_000, old: 10_000 };
/** Attempts for the sake of an unknown `kid`: so many at once, then one in so long, whatever tokens arrive. */
const UNKNOWN_KEY = { attempts: 3, oneMoreEveryMs: 10_000 };

/**
 * The issuer's public keys (RFC 7517). Asked for again when a minute old, so that a removed key stops counting, and on
 * an unknown `kid`, rate-limited. While the issuer is away the known keys go on counting: ending access must not depend
 * on the system whose outage it has to survive. Without any keys, or for an unknown `kid` while they cannot be asked
 * for, no token can be judged: `signing-keys-unavailable`.
 */
export function createSigningKeys(url: string, logger: Logger): JWTVerifyGetKey {
  // both durations infinite: when to ask is decided here alone, since jose forgets its keys when they cannot be renewed
  const remote = createRemoteJWKSet(new URL(url), {
    cacheMaxAge: Infinity,
    cooldownDuration: Infinity,
    timeoutDuration: TIMEOUT_MS,
  });
  const mayAskForUnknownKey = createAllowance(UNKNOWN_KEY);
  let renewedAt = -Infinity;
  let attemptedAt = -Infinity;

  async function renew(): Promise<void> {
    attemptedAt = performance.now();
    try {
      await remote.reload();
      renewedAt = performance.now();
    } catch (error) {
      const name = error instanceof Error ? error.name : 'unknown';
      logger.warn({ error: name }, 'the issuer’s signing keys could not be fetched');
    }
  }

  async function renewOld(): Promise<void> {
    const now = performance.now();
    const retryMs = remote.jwks() === undefined ? RETRY_MS.none : RETRY_MS.old;
    if (now - renewedAt >= MAX_AGE_MS && (remote.reloading || now - attemptedAt >= retryMs)) await renew();
  }

  return async function signingKey(header, token) {
    await renewOld();
    if (remote.jwks() === undefined) throw unavailable();
    try {
      return await remote(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
    }
    if (remote.reloading || mayAskForUnknownKey()) await renew();
    if (renewedAt < attemptedAt) throw unavailable();
    return remote(header, token);
  };
}

function createAllowance({ attempts, oneMoreEveryMs }: { attempts: number; oneMoreEveryMs: number }): () => boolean {
  let left = attempts;
  let countedAt = performance.now();
  return () => {
    left = Math.min(attempts, left + (performance.now() - countedAt) / oneMoreEveryMs);
    countedAt = performance.now();
    if (left < 1) return false;
    left -= 1;
    return true;
  };
}

const unavailable = () =>
  new ServiceError(
    'signing-keys-unavailable',
    'The keys that tokens are verified with cannot be fetched; nothing was changed and a retry is safe.',
  );
