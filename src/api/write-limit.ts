import type { MiddlewareHandler } from 'hono';
import { ServiceError } from '../errors.ts';
import type { ApiEnv } from './api-env.ts';

interface Bucket {
  tokens: number;
  filledAtMs: number;
}

/** Buckets that may be kept; full ones are forgotten first, since a new one would be as full. */
const MAX_BUCKETS = 20_000;

/**
 * Bounds the writes of each person in each organization: a bucket of `perMinute`, filled evenly. 0 = no bound; machines
 * are exempt. Counted in this process alone: it protects the service, it is no quota.
 */
export function createWriteLimit(
  perMinute: number,
  now: () => number = () => performance.now(),
): MiddlewareHandler<ApiEnv> {
  const buckets = new Map<string, Bucket>();
  const perMs = perMinute / 60_000;

  function take(key: string): void {
    const bucket = buckets.get(key) ?? { tokens: perMinute, filledAtMs: now() };
    bucket.tokens = Math.min(perMinute, bucket.tokens + (now() - bucket.filledAtMs) * perMs);
    bucket.filledAtMs = now();
    if (bucket.tokens < 1) throw rateLimited(Math.ceil((1 - bucket.tokens) / perMs / 1_000));
    bucket.tokens -= 1;
    if (buckets.size >= MAX_BUCKETS) forgetFull();
    buckets.set(key, bucket);
  }

  function forgetFull(): void {
    for (const [key, bucket] of buckets)
      if (bucket.tokens + (now() - bucket.filledAtMs) * perMs >= perMinute) buckets.delete(key);
  }

  return async function limitWrites(c, next) {
    const { kind, actorId, organizationId } = c.get('admin');
    if (perMinute > 0 && kind !== 'machine') take(JSON.stringify([actorId, organizationId]));
    await next();
  };
}

const rateLimited = (seconds: number) =>
  new ServiceError('rate-limited', 'Too many changes at once in this organization; try again later.', {
    headers: { 'Retry-After': String(seconds) },
  });
