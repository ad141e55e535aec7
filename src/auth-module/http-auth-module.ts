import { type AuthModule, type ChainSearch, invalidationLimit, type InvalidationRequest } from './auth-module.ts';
import { readChainPage, readInvalidation } from './contract.ts';
import { createPostJson } from './post-json.ts';

export interface HttpAuthModuleOptions {
  /** Base address; the two endpoints are below it. */
  url: string;
  /** Bearer token (RFC 6750). */
  token: string;
  /** Longest call, body included; default 5,000. */
  timeoutMs?: number;
  /** Longest answer that is read; default 8 MiB, about 25,000 chains. */
  maxResponseBytes?: number;
  /** W3C `traceparent` of the trace that a call belongs to; undefined where it belongs to none. */
  traceparent?: () => string | undefined;
}

/**
 * The default adapter: `POST {url}/refresh-chains/search` and `POST {url}/refresh-chains/invalidate`.
 * Throws `AuthModuleError` with one class for every way a call can fail, `RangeError` for a question that must not be
 * asked (an empty filter, nothing to invalidate, more than 500 of a kind), and `TypeError` at once for bad options.
 */
export function createHttpAuthModule(options: HttpAuthModuleOptions): AuthModule {
  const { url, token, timeoutMs = 5_000, maxResponseBytes = 8 * 1_024 * 1_024, traceparent } = options;
  const postJson = createPostJson({ url, token, timeoutMs, maxBytes: maxResponseBytes, traceparent });
  return {
    async listRefreshChains(search, cursor, signal) {
      assertAskable(search);
      const { organizationId, userId, sessionIds, supportAccessGrantId, sessionStartedAtOrBefore } = search;
      const filters = { organizationId, userId, sessionIds, supportAccessGrantId, sessionStartedAtOrBefore };
      const body = await postJson('/refresh-chains/search', cursor === null ? filters : { ...filters, cursor }, signal);
      return readChainPage(body, search, cursor);
    },
    async invalidateRefreshChains(request, signal) {
      assertInvalidable(request);
      const { organizationId, terminationId, sessionIds, chainIds } = request;
      const question = { organizationId, terminationId, sessionIds, chainIds };
      return readInvalidation(await postJson('/refresh-chains/invalidate', question, signal), request);
    },
  };
}

/** An empty filter could be read as "no filter", and the answer would then be acted on. */
function assertAskable(search: ChainSearch): void {
  for (const [name, value] of Object.entries(search)) {
    if (value !== undefined && value.length === 0) throw new RangeError(`A search must not have an empty ${name}.`);
  }
  const cutoff = search.sessionStartedAtOrBefore;
  if (cutoff !== undefined && Number.isNaN(Date.parse(cutoff)))
    throw new RangeError('A search needs a cutoff that is an instant.');
}

function assertInvalidable({ sessionIds, chainIds }: InvalidationRequest): void {
  if (sessionIds.length + chainIds.length === 0) throw new RangeError('There is nothing to invalidate.');
  if (Math.max(sessionIds.length, chainIds.length) > invalidationLimit) {
    throw new RangeError(`At most ${invalidationLimit} sessions and chains can be invalidated at once.`);
  }
}
