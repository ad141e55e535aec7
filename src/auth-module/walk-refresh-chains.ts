import { type AuthModule, AuthModuleError, type ChainSearch, type RefreshChain } from './auth-module.ts';

/** Pages in a row without a chain that are followed: filtering behind a cursor may give some, a runaway gives no end. */
const emptyPagesLimit = 100;

/**
 * Every page of a search that has chains in it, one at a time and in order. Throws what the port throws, and
 * `bad-response` where the cursors go in a circle or lead through empty pages without end.
 */
export async function* walkRefreshChains(
  authModule: AuthModule,
  search: ChainSearch,
  signal?: AbortSignal,
): AsyncGenerator<RefreshChain[], void, void> {
  const seen = new Set<string>();
  let emptyPages = 0;
  let cursor: string | null = null;
  do {
    const page = await authModule.listRefreshChains(search, cursor, signal);
    emptyPages = page.chains.length === 0 ? emptyPages + 1 : 0;
    if (page.chains.length > 0) yield page.chains;
    cursor = page.nextCursor;
    if (emptyPages > emptyPagesLimit || (cursor !== null && seen.has(cursor)))
      throw new AuthModuleError('bad-response');
    if (cursor !== null) seen.add(cursor);
  } while (cursor !== null);
}
