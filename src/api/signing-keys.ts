import { createRemoteJWKSet, errors, type JWTVerifyGetKey } from 'jose';
import type { Logger } from 'pino';
import { ServiceError } from '../errors.ts';

const MAX_AGE_MS = 60_000;
/** At most one request to the issuer in this time, whatever tokens arrive. */
const COOLDOWN_MS = 10_000;
/** The same while there are no keys at all: nothing can be answered until there are. */
const FIRST_COOLDOWN_MS = 1_000;
const TIMEOUT_MS = 2_000;

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
  let renewedAt = -Infinity;
  let attemptedAt = -Infinity;

  async function renew(cooldownMs: number): Promise<void> {
    if (!remote.reloading && performance.now() - attemptedAt < cooldownMs) return;
    attemptedAt = performance.now();
    try {
      await remote.reload();
      renewedAt = performance.now();
    } catch (error) {
      logger.warn(
        { error: error instanceof Error ? error.name : 'unknown' },
        'the issuer’s signing keys could not be fetched',
      );
    }
  }

  return async (header, token) => {
    const none = remote.jwks() === undefined;
    if (none || performance.now() - renewedAt >= MAX_AGE_MS) await renew(none ? FIRST_COOLDOWN_MS : COOLDOWN_MS);
    if (remote.jwks() === undefined) throw unavailable();
    try {
      return await remote(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
    }
    await renew(COOLDOWN_MS);
    if (renewedAt < attemptedAt) throw unavailable();
    return remote(header, token);
  };
}

const unavailable = () =>
  new ServiceError(
    'signing-keys-unavailable',
    'The keys that tokens are verified with cannot be fetched; nothing was changed and a retry is safe.',
  );
