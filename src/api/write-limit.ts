import type { MiddlewareHandler } from 'hono';
import { ServiceError } from '../errors.ts';
import type { AdminContext } from '../rules/access.ts';
import type { ApiEnv } from './api-env.ts';

interface Bucket {
  tokens: number;
  filledAtMs: number;
}

/** Buckets that may be kept; full ones are forgotten first, since a new one would be as full. */
const MAX_BUCKETS = 20_000;

/** Whose share it is: each caller's, in each organization. */
export const callerInOrganization = ({ issuer, kind, actorId, organizationId }: AdminContext): string =>
  JSON.stringify([issuer, kind, actorId, organizationId]);

/** Takes one from a caller's share; throws `rate-limited` where it is used up. */
export type TakeShare = (caller: string) => void;

/**
 * A bucket of `perMinute` for each caller, filled evenly. Counted in this process alone: it protects the service, it is
 * no quota.
 */
export function createShares(perMinute: number, now: () => number = () => performance.now()): TakeShare {
  const buckets = new Map<string, Bucket>();
  const perMs = perMinute / 60_000;

  function forgetFull(): void {
    for (const [key, bucket] of buckets)
      if (bucket.tokens + (now() - bucket.filledAtMs) * perMs >= perMinute) buckets.delete(key);
  }

  return function takeShare(caller) {
    const bucket = buckets.get(caller) ?? { tokens: perMinute, filledAtMs: now() };
    bucket.tokens = Math.min(perMinute, bucket.tokens + (now() - bucket.filledAtMs) * perMs);
    bucket.filledAtMs = now();
    if (bucket.tokens < 1)
      throw rateLimited(
        Math.ceil((1 - bucket.tokens) / perMs / 1_000),
        'Too many changes at once in this organization; try again later.',
      );
    bucket.tokens -= 1;
    if (buckets.size >= MAX_BUCKETS) forgetFull();
    buckets.set(caller, bucket);
  };
}

/** Bounds the writes of each person in each organization. 0 = no bound; machines are exempt. */
export function createWriteLimit(perMinute: number): MiddlewareHandler<ApiEnv> {
  const take = createShares(perMinute);
  return async function limitWrites(c, next) {
    const admin = c.get('admin');
    if (perMinute > 0 && admin.kind !== 'machine') take(callerInOrganization(admin));
    await next();
  };
}

export const rateLimited = (seconds: number, message: string) =>
  new ServiceError('rate-limited', message, { headers: { 'Retry-After': String(seconds) } });
