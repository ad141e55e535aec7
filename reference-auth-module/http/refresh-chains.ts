import { Hono } from 'hono';
import type pg from 'pg';
import { z } from 'zod';
import { invalidateChains } from '../refresh-chains/invalidate-chains.ts';
import { parseCursor, searchChains } from '../refresh-chains/search-chains.ts';
import { badRequest, Id, jsonBody } from './json-body.ts';

const atMost500 = z.array(Id).max(500);
const Search = z.strictObject({
  organizationId: Id,
  userId: Id.optional(),
  sessionIds: atMost500.min(1).optional(),
  supportAccessGrantId: Id.optional(),
  sessionStartedAtOrBefore: z.iso.datetime({ offset: true }).optional(),
  cursor: z.string().max(1000).optional(),
});
const Invalidate = z.strictObject({
  organizationId: Id,
  terminationId: Id,
  sessionIds: atMost500,
  chainIds: atMost500,
});

/** The two methods that the Session Management Service asks for: see `src/auth-module/auth-module.ts`. */
export function createRefreshChainRoutes(pool: pg.Pool) {
  return new Hono()
    .post('/refresh-chains/search', async (c) => {
      const { cursor, ...filter } = await jsonBody(c, Search);
      const after = cursor === undefined ? undefined : parseCursor(cursor);
      if (after === null) throw badRequest('no such cursor');
      return c.json(await searchChains(pool, filter, after));
    })
    .post('/refresh-chains/invalidate', async (c) =>
      c.json(await invalidateChains(pool, await jsonBody(c, Invalidate))),
    );
}
