import { AuthModuleError, type ChainSearch } from '../../auth-module/auth-module.ts';
import { walkRefreshChains } from '../../auth-module/walk-refresh-chains.ts';
import { toInstant } from '../../service/instants.ts';
import { adoptChains } from './adopt-chains.ts';
import { newPass, noteFailure, type PassOptions, type PassState, recorded } from './pass.ts';
import { sendPages } from './send-pages.ts';
import type { Page, TerminationWork } from './work.ts';

/** Full searches in a row that still found something, before the pass is put off: an Auth Module that says "invalidated" and lies. */
const ROUNDS = 5;

/**
 * Asks the Auth Module for chains still alive in scope and kills them, until it has none. True: it has none, and none
 * is left out; false: some are alive or the question was not answered (`state` says why).
 */
export async function sweep(options: PassOptions, state: PassState): Promise<boolean> {
  for (let round = 1; round <= ROUNDS; round++) {
    const { alive, killable } = await searchOnce(options, state, (pages) => sendPages(options, state, pages));
    if (state.broken || options.signal.aborted) return false;
    if (alive === 0) return true;
    if (killable === 0) return false;
  }
  // what it confirmed was not so: no progress, so that patience grows, and what lives is pending in the books
  await searchOnce(options, state, () => Promise.resolve());
  state.progressed = false;
  state.failure ??= { errorClass: 'rejected', refused: false, retryAfterMs: null };
  return false;
}

/** Looks once, and books what is alive as pending; kills nothing. Null: the question was not answered. */
export async function look(options: PassOptions): Promise<{ alive: number | null; state: PassState }> {
  const state = newPass();
  const { alive } = await searchOnce(options, state, () => Promise.resolve());
  return { alive: state.broken ? null : alive, state };
}

async function searchOnce(options: PassOptions, state: PassState, kill: (pages: AsyncIterator<Page>) => Promise<void>) {
  let [alive, killable] = [0, 0];
  try {
    const search = searchOf(options);
    state.unrecordedCalls += 1;
    let askedAt = options.work.now();
    for await (const found of walkRefreshChains(options.authModule, search, options.signal)) {
      await recorded(state);
      const adopted = await adoptChains(options.database, options.work, found, askedAt);
      alive += adopted.chains;
      options.onFound?.(adopted);
      const pages = adopted.pages.map((page) => withoutFailed(page, state)).filter((page) => page.chainIds.length > 0);
      killable += pages.reduce((sum, page) => sum + page.chainIds.length, 0);
      await kill(iterate(pages));
      if (state.broken || options.signal.aborted) break;
      askedAt = options.work.now();
    }
  } catch (error) {
    if (!(error instanceof AuthModuleError)) throw error;
    noteFailure(options, state, error);
    state.broken = true;
  }
  return { alive, killable };
}

const withoutFailed = (page: Page, state: PassState): Page => ({
  sessionIds: page.sessionIds,
  chainIds: page.chainIds.filter((id) => !state.failed.has(id)),
});

async function* iterate(pages: readonly Page[]): AsyncGenerator<Page> {
  yield* pages;
}

/** Scopes `session` and `grant` are searched without a time: nothing of theirs may live, whenever it began. */
function searchOf({ work }: PassOptions): ChainSearch {
  const { organizationId, scopeKind, scopeId } = work;
  if (scopeKind === 'session') return { organizationId, sessionIds: [scopeId] };
  if (scopeKind === 'grant') return { organizationId, supportAccessGrantId: scopeId };
  const before = { organizationId, sessionStartedAtOrBefore: cutoffByItsClock(work) };
  return scopeKind === 'user' ? { ...before, userId: scopeId } : before;
}

/** The cutoff as the Auth Module's clock shows it, where that is known to be ahead. */
const cutoffByItsClock = ({ cutoff, clockAheadMs }: TerminationWork): string =>
  new Date(Date.parse(toInstant(cutoff)) + clockAheadMs).toISOString();
