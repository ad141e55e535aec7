import type { ChainOutcome, ChainPage, ChainSearch, RefreshChain } from '../../src/auth-module/auth-module.ts';

/** What a test may leave out of a chain. */
export type ChainSketch = Pick<RefreshChain, 'chainId' | 'organizationId'> & Partial<RefreshChain>;

/** The Auth Module's own truth, in memory. Ids are keyed by (organization, id). */
export interface ChainStore {
  /** Adds a living chain; false, and nothing added, where its sign-in was ended: no new chain is born in it. */
  add(chain: ChainSketch): boolean;
  addMany(chains: Iterable<ChainSketch>): void;
  kill(organizationId: string, chainId: string): void;
  /** A dead chain lives again, whatever happened to its session: the fault that verification is for. */
  resurrect(organizationId: string, chainId: string): void;
  /** What a refresh with this chain would show: whether it can still mint a token. */
  isAlive(organizationId: string, chainId: string): boolean;
  isSessionEnded(organizationId: string, sessionId: string): boolean;
  alive(organizationId?: string): RefreshChain[];
  aliveCount(): number;
  search(search: ChainSearch, cursor: string | null, pageSize: number): ChainPage;
  invalidateChain(organizationId: string, chainId: string): ChainOutcome;
  endSession(organizationId: string, sessionId: string): ChainOutcome;
  clear(): void;
}

interface Entry {
  sequence: number;
  chain: RefreshChain;
  alive: boolean;
}

const key = (organizationId: string, id: string) => `${organizationId}\n${id}`;

export function createChainStore(): ChainStore {
  const entries = new Map<string, Entry>();
  const endedSessions = new Set<string>();
  const knownSessions = new Set<string>();
  const entry = (organizationId: string, chainId: string) => entries.get(key(organizationId, chainId));
  const setAlive = (organizationId: string, chainId: string, alive: boolean) => {
    const found = entry(organizationId, chainId);
    if (found === undefined) throw new RangeError(`no chain ${chainId} in ${organizationId}`);
    found.alive = alive;
  };
  const living = () => [...entries.values()].filter((each) => each.alive);

  return {
    add(sketch) {
      const chain = complete(sketch);
      const session = key(chain.organizationId, chain.sessionId);
      if (endedSessions.has(session)) return false;
      knownSessions.add(session);
      entries.set(key(chain.organizationId, chain.chainId), { sequence: entries.size + 1, chain, alive: true });
      return true;
    },
    addMany(chains) {
      for (const chain of chains) this.add(chain);
    },
    kill: (organizationId, chainId) => setAlive(organizationId, chainId, false),
    resurrect: (organizationId, chainId) => setAlive(organizationId, chainId, true),
    isAlive: (organizationId, chainId) => entry(organizationId, chainId)?.alive === true,
    isSessionEnded: (organizationId, sessionId) => endedSessions.has(key(organizationId, sessionId)),
    alive: (organizationId) =>
      living().flatMap(({ chain }) =>
        organizationId === undefined || chain.organizationId === organizationId ? [chain] : [],
      ),
    aliveCount: () => living().length,
    search: (search, cursor, pageSize) => searchEntries(entries.values(), search, cursor, pageSize),
    invalidateChain(organizationId, chainId) {
      const found = entry(organizationId, chainId);
      if (found?.alive !== true) return 'already-dead';
      found.alive = false;
      return 'invalidated';
    },
    endSession(organizationId, sessionId) {
      const session = key(organizationId, sessionId);
      const isLive = knownSessions.has(session) && !endedSessions.has(session);
      endedSessions.add(session);
      return isLive ? 'invalidated' : 'already-dead';
    },
    clear() {
      for (const each of [entries, endedSessions, knownSessions]) each.clear();
    },
  };
}

const complete = (sketch: ChainSketch): RefreshChain => ({
  sessionId: `session-of-${sketch.chainId}`,
  userId: 'user-1',
  sessionStartedAt: '2026-01-01T00:00:00.000Z',
  supportAccessGrantId: null,
  ...sketch,
});

/** The cursor is a place in the order of birth, so that chains dying between two pages hide none. */
function searchEntries(
  entries: Iterable<Entry>,
  search: ChainSearch,
  cursor: string | null,
  pageSize: number,
): ChainPage {
  const sessionIds = search.sessionIds && new Set(search.sessionIds);
  const cutoff = search.sessionStartedAtOrBefore === undefined ? Infinity : Date.parse(search.sessionStartedAtOrBefore);
  const after = cursor === null ? 0 : Number(cursor);
  const page: Entry[] = [];
  for (const each of entries) {
    const { chain } = each;
    const isAsked =
      each.alive &&
      each.sequence > after &&
      chain.organizationId === search.organizationId &&
      (search.userId === undefined || chain.userId === search.userId) &&
      (search.supportAccessGrantId === undefined || chain.supportAccessGrantId === search.supportAccessGrantId) &&
      (sessionIds === undefined || sessionIds.has(chain.sessionId)) &&
      Date.parse(chain.sessionStartedAt) <= cutoff;
    if (isAsked) page.push(each);
    if (page.length > pageSize) break;
  }
  const chains = page.slice(0, pageSize);
  return {
    chains: chains.map((each) => each.chain),
    nextCursor: page.length > pageSize ? String(chains.at(-1)?.sequence) : null,
  };
}
