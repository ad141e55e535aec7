import { createHash, timingSafeEqual } from 'node:crypto';
import { createMiddleware } from 'hono/factory';

/** Lets through exactly the holder of `token`; anybody else gets 401, whatever else is wrong with the request. */
export function requireBearer(token: string) {
  const expected = digest(token);
  return createMiddleware(async function bearer(c, next) {
    const presented = /^Bearer +(.+)$/i.exec(c.req.header('authorization') ?? '')?.[1];
    if (presented === undefined || !timingSafeEqual(digest(presented), expected)) {
      return c.json({ error: 'unauthorized' }, 401, { 'www-authenticate': 'Bearer' });
    }
    return next();
  });
}

// digests are of one length, which is what a comparison in constant time needs
function digest(value: string): Buffer {
  return createHash('sha256').update(value).digest();
}
