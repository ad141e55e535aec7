import { createRemoteJWKSet, errors, type JWTVerifyGetKey } from 'jose';
import type { Logger } from 'pino';
import { codeOf, rootCauseOf } from '../error-code.ts';
import { ServiceError } from '../errors.ts';
import { discoverKeySet } from './discover-key-set.ts';

const TIMEOUT_MS = 2_000;
const MAX_AGE_MS = 60_000;
/** How long nothing is asked for after an attempt: while there are no keys at all, and while old ones can be used. */
const RETRY_MS = { none: 1_000, old: 10_000 };
/** Attempts for the sake of an unknown `kid`: so many at once, then one in so long, whatever tokens arrive. */
const UNKNOWN_KEY = { attempts: 3, oneMoreEveryMs: 10_000 };

export interface SigningKeys {
  key: JWTVerifyGetKey;
  /** Asks the issuer where that is due; never rejects. */
  refresh(): Promise<void>;
  /** Seconds since the keys were last fetched; null: they never were. */
  ageSeconds(): number | null;
  /** What the last attempt failed with, as a code; null: it did not. */
  failure(): string | null;
}

/**
 * One issuer's public keys (RFC 7517), from `jwksUrl` or, where that is null, from where its discovery document says.
 * Asked for again when a minute old, so that a removed key stops counting, and on an unknown `kid`, rate-limited. While
 * the issuer is away the known keys go on counting: ending access must not depend on the system whose outage it has to
 * survive. Without any keys, or for an unknown `kid` while they cannot be asked for, no token can be judged:
 * `signing-keys-unavailable`.
 */
export function createSigningKeys(
  { issuer, jwksUrl }: { issuer: string; jwksUrl: string | null },
  logger: Logger,
): SigningKeys {
  const mayAskForUnknownKey = createAllowance(UNKNOWN_KEY);
  let keySet: { url: string; remote: ReturnType<typeof createKeySet> } | undefined;
  let pending: Promise<void> | undefined;
  let renewedAt = -Infinity;
  let attemptedAt = -Infinity;
  let failure: string | null = null;

  /** An issuer that cannot be reached where its keys were is asked anew where they are. */
  async function fetchKeys(): Promise<void> {
    const known = failure === null ? keySet?.url : undefined;
    const url = jwksUrl ?? known ?? (await discoverKeySet(issuer, TIMEOUT_MS));
    const remote = keySet?.url === url ? keySet.remote : createKeySet(url);
    await remote.reload();
    keySet = { url, remote };
  }

  async function attempt(): Promise<void> {
    attemptedAt = performance.now();
    try {
      await fetchKeys();
      [renewedAt, failure] = [performance.now(), null];
    } catch (error) {
      const root = rootCauseOf(error);
      failure = codeOf(root);
      const cause = root instanceof Error ? root.message : 'unknown';
      logger.warn({ issuer, error: failure, cause }, 'the issuer’s signing keys could not be fetched');
    }
  }

  const renew = (): Promise<void> => (pending ??= attempt().finally(() => (pending = undefined)));

  async function refresh(): Promise<void> {
    const now = performance.now();
    const retryMs = keySet === undefined ? RETRY_MS.none : RETRY_MS.old;
    if (now - renewedAt >= MAX_AGE_MS && (pending !== undefined || now - attemptedAt >= retryMs)) await renew();
  }

  async function key(...of: Parameters<JWTVerifyGetKey>) {
    await refresh();
    if (keySet === undefined) throw unavailable();
    try {
      return await keySet.remote(...of);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
    }
    if (pending !== undefined || mayAskForUnknownKey()) await renew();
    if (renewedAt < attemptedAt) throw unavailable();
    return keySet.remote(...of);
  }

  const ageSeconds = () => (renewedAt === -Infinity ? null : (performance.now() - renewedAt) / 1_000);
  return { key, refresh, ageSeconds, failure: () => failure };
}

/** Both durations infinite: when to ask is decided here alone, since jose forgets its keys when they cannot be renewed. */
const createKeySet = (url: string) =>
  createRemoteJWKSet(new URL(url), {
    cacheMaxAge: Infinity,
    cooldownDuration: Infinity,
    timeoutDuration: TIMEOUT_MS,
  });

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
