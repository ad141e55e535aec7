import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AuthModule, ChainSearch, RefreshChain } from '../../src/auth-module/auth-module.ts';
import { walkRefreshChains } from '../../src/auth-module/walk-refresh-chains.ts';

/** An adapter with a living Auth Module behind it, and the hands of the people who sign in there. */
export interface AuthModuleUnderTest {
  authModule: AuthModule;
  /** Signs in; the chain it gave, as a search would tell it. `supportAccessGrantId`: a Global Admin under that grant. */
  signIn(who: { organizationId: string; userId: string; supportAccessGrantId?: string }): Promise<RefreshChain>;
  /** A further client in the same sign-in; null where the Auth Module refuses it. */
  addChain(session: RefreshChain): Promise<RefreshChain | null>;
  /** Whether the chain still mints a token: judged by trying, never by a list. */
  refresh(chain: RefreshChain): Promise<boolean>;
  stop(): Promise<void>;
}

export interface ContractOptions {
  /** False where this Auth Module opens no support sign-ins, or only for grants that exist. Default true. */
  supportSignIns?: boolean;
  /** The organization to sign in to; default a fresh one each time. */
  organization?: () => string;
}

type Start = () => Promise<AuthModuleUnderTest>;
const idsOf = (chains: readonly RefreshChain[]) => chains.map(({ chainId }) => chainId).toSorted();
const fiveHundred = (kind: string) => Array.from({ length: 500 }, (_, i) => `${kind}-${i}-${randomUUID()}`);

/** What every Auth Module must do, whatever adapter is in front of it. */
export function describeAuthModuleContract(name: string, start: Start, options: ContractOptions = {}): void {
  const newOrganization = options.organization ?? (() => `org-${randomUUID()}`);
  const person = () => ({ organizationId: newOrganization(), userId: `user-${randomUUID()}` });

  describe(`${name} keeps the contract of an Auth Module`, () => {
    let under: AuthModuleUnderTest;
    beforeAll(async () => void (under = await start()));
    afterAll(() => under.stop());

    const found = async (search: ChainSearch) => {
      const chains: RefreshChain[] = [];
      for await (const page of walkRefreshChains(under.authModule, search)) chains.push(...page);
      return chains.toSorted((a, b) => a.chainId.localeCompare(b.chainId));
    };
    const invalidate = (organizationId: string, { chainIds = [] as string[], sessionIds = [] as string[] }) =>
      under.authModule.invalidateRefreshChains({ organizationId, terminationId: randomUUID(), chainIds, sessionIds });

    describe('a search', () => {
      it('tells a living chain with its session, user, organization and start', async () => {
        const chain = await under.signIn(person());
        const { organizationId, userId } = chain;
        expect(await found({ organizationId, userId })).toEqual([chain]);
        expect(await found({ organizationId, sessionIds: [chain.sessionId] })).toEqual([chain]);
      });

      it('finds nothing of another user, session or organization', async () => {
        const { organizationId, userId, sessionId } = await under.signIn(person());
        const other = person();
        expect(await found({ organizationId, userId: other.userId })).toEqual([]);
        expect(await found({ organizationId, sessionIds: [randomUUID()] })).toEqual([]);
        expect(await found({ organizationId: other.organizationId, userId, sessionIds: [sessionId] })).toEqual([]);
      });

      it('reaches every chain of a user, page by page', async () => {
        const who = person();
        const chains: RefreshChain[] = [];
        for (let i = 0; i < 5; i += 1) chains.push(await under.signIn(who));
        expect(idsOf(await found(who))).toEqual(idsOf(chains));
        expect(idsOf(await found({ ...who, sessionIds: chains.slice(2).map((each) => each.sessionId) }))).toEqual(
          idsOf(chains.slice(2)),
        );
      });

      it('goes by the start of the session: at or before, and for a client of a later hour too', async () => {
        const first = await under.signIn(person());
        const second = await under.addChain(first);
        const { organizationId, userId, sessionStartedAt } = first;
        const justBefore = new Date(Date.parse(sessionStartedAt) - 1).toISOString();
        const at = await found({ organizationId, userId, sessionStartedAtOrBefore: sessionStartedAt });
        expect(idsOf(at)).toEqual(idsOf([first, ...(second ? [second] : [])]));
        expect(at).toHaveLength(2);
        expect(new Set(at.map((each) => each.sessionStartedAt))).toEqual(new Set([sessionStartedAt]));
        expect(await found({ organizationId, userId, sessionStartedAtOrBefore: justBefore })).toEqual([]);
      });

      it.runIf(options.supportSignIns ?? true)('finds support sign-ins by their grant, and only those', async () => {
        const who = person();
        const supportAccessGrantId = randomUUID();
        await under.signIn(who);
        const support = await under.signIn({ ...who, supportAccessGrantId });
        expect(await found({ organizationId: who.organizationId, supportAccessGrantId })).toEqual([support]);
      });
    });

    describe('an invalidation', () => {
      it('kills the chain: it refreshes no more and is found no more', async () => {
        const chain = await under.signIn(person());
        const bystander = await under.signIn({ organizationId: chain.organizationId, userId: chain.userId });
        expect(await under.refresh(chain)).toBe(true);
        const [alive] = await found({ organizationId: chain.organizationId, sessionIds: [chain.sessionId] });
        const { chains, errorClass } = await invalidate(chain.organizationId, { chainIds: [alive?.chainId ?? ''] });
        expect([[...chains.values()], errorClass]).toEqual([['invalidated'], null]);
        expect(await under.refresh(chain)).toBe(false);
        expect(await found({ organizationId: chain.organizationId, sessionIds: [chain.sessionId] })).toEqual([]);
        expect(await under.refresh(bystander)).toBe(true);
      });

      it('ends the sign-in: no new chain is born in it', async () => {
        const session = await under.signIn(person());
        const { sessions } = await invalidate(session.organizationId, {
          sessionIds: [session.sessionId],
          chainIds: [session.chainId],
        });
        expect([...sessions]).toEqual([[session.sessionId, 'invalidated']]);
        expect(await under.addChain(session)).toBeNull();
      });

      it('is idempotent: a repeat finds everything already dead', async () => {
        const { organizationId, sessionId, chainId } = await under.signIn(person());
        const both = { sessionIds: [sessionId], chainIds: [chainId] };
        await invalidate(organizationId, both);
        const again = await invalidate(organizationId, both);
        expect([[...again.chains.values()], [...again.sessions.values()], again.errorClass]).toEqual([
          ['already-dead'],
          ['already-dead'],
          null,
        ]);
      });

      it('calls dead what it does not know, up to 500 chains and 500 sessions at once', async () => {
        const { chains, sessions, errorClass } = await invalidate(newOrganization(), {
          chainIds: fiveHundred('chain'),
          sessionIds: fiveHundred('session'),
        });
        expect([chains.size, sessions.size, errorClass]).toEqual([500, 500, null]);
        expect(new Set([...chains.values(), ...sessions.values()])).toEqual(new Set(['already-dead']));
      });

      it('asked in the name of another organization harms nobody', async () => {
        const chain = await under.signIn(person());
        const { chains } = await invalidate(newOrganization(), {
          chainIds: [chain.chainId],
          sessionIds: [chain.sessionId],
        });
        expect([...chains.values()]).toEqual(['already-dead']);
        expect(await under.refresh(chain)).toBe(true);
      });
    });
  });
}
