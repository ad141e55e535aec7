import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type AuthModule, type ChainSearch, type RefreshChain } from '../../src/auth-module/auth-module.ts';
import { createHttpAuthModule } from '../../src/auth-module/http-auth-module.ts';
import { walkRefreshChains } from '../../src/auth-module/walk-refresh-chains.ts';
import { type FaultyAuthModule, startFaultyAuthModule } from '../faulty-auth-module.ts';

let server: FaultyAuthModule;
let authModule: AuthModule;
beforeAll(async () => {
  server = await startFaultyAuthModule({ pageSize: 2 });
  authModule = createHttpAuthModule(server);
});
afterEach(() => {
  server.clear();
  server.chains.clear();
});
afterAll(() => server.stop());

const organizationId = 'org-1';
const grantId = '01a2164c-0000-7000-8000-00000000000a';
const sessionStartedAtOrBefore = '2026-03-01T00:00:00.000Z';
const badResponse: unknown = expect.objectContaining({ name: 'AuthModuleError', errorClass: 'bad-response' });
const walk = async (search: ChainSearch) => {
  const pages: RefreshChain[][] = [];
  for await (const page of walkRefreshChains(authModule, search)) pages.push(page);
  return pages;
};

/** An Auth Module that never has a chain and never comes to an end. */
const emptyPages = (cursorOf: (call: number) => string): AuthModule => {
  let call = 0;
  return {
    listRefreshChains: () => Promise.resolve({ chains: [], nextCursor: cursorOf(call++) }),
    invalidateRefreshChains: () => Promise.reject(new Error('not asked')),
  };
};

describe('a page with one chain outside the question is not acted on', () => {
  const search: ChainSearch = {
    organizationId,
    userId: 'user-1',
    sessionIds: ['s-1'],
    supportAccessGrantId: grantId,
    sessionStartedAtOrBefore,
  };
  it.each<[string, Partial<RefreshChain>]>([
    ['another organization', { organizationId: 'org-2' }],
    ['another user', { userId: 'user-2' }],
    ['a session that was not asked for', { sessionId: 's-2' }],
    ['another grant', { supportAccessGrantId: '01a2164c-0000-7000-8000-000000000002' }],
    ['no grant', { supportAccessGrantId: null }],
    ['a session started after the cutoff', { sessionStartedAt: '2026-03-01T00:00:00.001Z' }],
    ['a start that is no instant', { sessionStartedAt: 'yesterday' }],
    ['an id that cannot be stored', { chainId: 'a\u0000b' }],
    ['an id that is too long', { chainId: 'x'.repeat(256) }],
  ])('%s', async (_, chain) => {
    server.inject({ kind: 'foreign-chain', chain: {} }, { times: 1 });
    expect((await authModule.listRefreshChains(search, null)).chains).toHaveLength(1);
    server.inject({ kind: 'foreign-chain', chain });
    await expect(authModule.listRefreshChains(search, null)).rejects.toEqual(badResponse);
  });

  it('a grant’s id is one id in whichever case it is told', async () => {
    server.inject({ kind: 'foreign-chain', chain: { supportAccessGrantId: grantId.toUpperCase() } }, { times: 1 });
    expect((await authModule.listRefreshChains(search, null)).chains).toMatchObject([
      { supportAccessGrantId: grantId },
    ]);
  });

  it('one chain told in two ways; told twice alike it is one', async () => {
    server.chains.add({ chainId: 'foreign', organizationId });
    server.inject({ kind: 'foreign-chain', chain: {} }, { times: 1 });
    expect((await authModule.listRefreshChains({ organizationId }, null)).chains).toHaveLength(1);
    server.inject({ kind: 'foreign-chain', chain: { sessionId: 'another' } });
    await expect(authModule.listRefreshChains({ organizationId }, null)).rejects.toEqual(badResponse);
  });
});

describe('the end of a list is told, never guessed', () => {
  it.each([undefined, '', 7])('`nextCursor` %s is not the end', async (nextCursor) => {
    server.inject({ kind: 'body', body: { chains: [], nextCursor } });
    await expect(authModule.listRefreshChains({ organizationId }, null)).rejects.toEqual(badResponse);
  });

  it('a cursor that stands still is refused at the first repeat', async () => {
    server.inject({ kind: 'repeat-cursor', cursor: '1' });
    await expect(authModule.listRefreshChains({ organizationId }, '1')).rejects.toEqual(badResponse);
    await expect(walk({ organizationId })).rejects.toEqual(badResponse);
  });

  it('cursors that go in a circle, or through empty pages without end, stop the walk', async () => {
    for (const cursorOf of [(call: number) => String(call % 3), String]) {
      const endless = walkRefreshChains(emptyPages(cursorOf), { organizationId });
      await expect(endless.next()).rejects.toEqual(badResponse);
    }
  });

  it('a walk sees every chain though those of each page die before the next is asked for', async () => {
    server.chains.addMany(Array.from({ length: 7 }, (_, i) => ({ chainId: `c${i}`, organizationId })));
    const seen: string[] = [];
    for await (const page of walkRefreshChains(authModule, { organizationId })) {
      for (const { chainId } of page) {
        server.chains.kill(organizationId, chainId);
        seen.push(chainId);
      }
    }
    expect(seen.toSorted()).toEqual(['c0', 'c1', 'c2', 'c3', 'c4', 'c5', 'c6']);
  });

  it('what the contract allows is read: other fields, an absent grant, an offset, microseconds', async () => {
    const chain = {
      chainId: 'c',
      sessionId: 's',
      userId: 'u',
      organizationId,
      sessionStartedAt: '2026-03-01T01:00:00.000999+01:00',
      more: true,
    };
    server.inject({ kind: 'body', body: { chains: [chain], nextCursor: null, more: true } });
    const [page] = await walk({ organizationId, sessionStartedAtOrBefore });
    expect(page).toEqual([
      {
        chainId: 'c',
        sessionId: 's',
        userId: 'u',
        organizationId,
        sessionStartedAt: '2026-03-01T00:00:00.000Z',
        supportAccessGrantId: null,
      },
    ]);
  });
});
