import { randomUUID } from 'node:crypto';
import type { RefreshChain } from '../../src/auth-module/auth-module.ts';
import { createHttpAuthModule } from '../../src/auth-module/http-auth-module.ts';
import { startFaultyAuthModule } from '../faulty-auth-module.ts';
import { describeAuthModuleContract } from './auth-module-contract.ts';

describeAuthModuleContract('the HTTP adapter', async () => {
  const server = await startFaultyAuthModule({ pageSize: 2 });
  const chainOf = (fields: Omit<RefreshChain, 'chainId'>) => {
    const chain = { ...fields, chainId: `chain-${randomUUID()}` };
    return server.chains.add(chain) ? chain : null;
  };
  return {
    authModule: createHttpAuthModule(server),
    signIn: async ({
      supportAccessGrantId = null,
      ...who
    }: {
      organizationId: string;
      userId: string;
      supportAccessGrantId?: string | null;
    }) => {
      const chain = chainOf({
        ...who,
        supportAccessGrantId,
        sessionId: `session-${randomUUID()}`,
        sessionStartedAt: new Date().toISOString(),
      });
      if (chain === null) throw new Error('a fresh sign-in was refused');
      return chain;
    },
    addChain: (session) => Promise.resolve(chainOf(session)),
    refresh: (chain) => Promise.resolve(server.chains.isAlive(chain.organizationId, chain.chainId)),
    stop: () => server.stop(),
  };
});
