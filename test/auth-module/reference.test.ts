import { randomUUID } from 'node:crypto';
import { Client } from 'pg';
import { expect, it } from 'vitest';
import {
  refresh,
  signIn,
  SignInFailed,
  type SignedIn,
  type SignInOptions,
} from '../../reference-auth-module/client.ts';
import { createHttpAuthModule } from '../../src/auth-module/http-auth-module.ts';
import type { RefreshChain } from '../../src/auth-module/auth-module.ts';
import { eventually } from '../harness/client.ts';
import { authModuleToken, useReferenceAuthModule } from '../reference-auth-module/harness.ts';
import { describeAuthModuleContract } from './auth-module-contract.ts';

const harness = useReferenceAuthModule();

interface Browser {
  user: string;
  organization: string;
  signedIn: SignedIn;
}

// The same suite as the stand-in of the tests passes, at a real OpenID provider: its people sign in by its form.
describeAuthModuleContract('the reference Auth Module, behind the HTTP adapter,', async () => {
  const browsers = new Map<string, Browser>();
  const tokens = new Map<string, { client: string; refreshToken: string }>();

  async function enter(options: Omit<SignInOptions, 'issuer'>): Promise<RefreshChain> {
    const { user, organization, client = 'web' } = options;
    const signedIn = await signIn({ ...options, issuer: harness.issuer });
    const [chain] = await harness.sql<Omit<RefreshChain, 'sessionStartedAt'> & { startedAt: Date }>(
      `select chain_id as "chainId", session_id as "sessionId", user_id as "userId", organization_id as "organizationId",
         session_started_at as "startedAt", support_access_grant_id as "supportAccessGrantId"
       from auth_chains where session_id = $1 and client_id = $2`,
      [signedIn.claims['sid'], client],
    );
    if (!chain) throw new Error('a sign-in gave no chain');
    const { startedAt, ...rest } = chain;
    browsers.set(chain.sessionId, { user, organization, signedIn });
    tokens.set(chain.chainId, { client, refreshToken: signedIn.refreshToken });
    return { ...rest, sessionStartedAt: startedAt.toISOString() };
  }

  const hire = (organizationId: string, userId: string, roles: string[]) =>
    harness.sql(`insert into auth_people values ($1, $2, $2, $3) on conflict do nothing`, [
      organizationId,
      userId,
      roles,
    ]);

  return {
    authModule: createHttpAuthModule({ url: harness.issuer, token: authModuleToken }),
    async signIn({ organizationId, userId, supportAccessGrantId }) {
      if (supportAccessGrantId === undefined) {
        await hire(organizationId, userId, ['user']);
        return enter({ user: userId, organization: organizationId });
      }
      await hire('vendor', userId, ['global_admin']);
      const notAfter = new Date(Date.now() + 600_000).toISOString();
      harness.service.check = () => ({
        decision: 'allow',
        reason: 'granted',
        grantId: supportAccessGrantId,
        notAfter,
      });
      return enter({ user: userId, organization: 'vendor', supportOrganization: organizationId });
    },
    async addChain({ sessionId }) {
      const browser = browsers.get(sessionId);
      if (!browser) throw new Error('nobody signed in to this session');
      const { user, organization, signedIn } = browser;
      return enter({
        user,
        organization,
        client: 'mobile',
        cookies: signedIn.cookies,
        continueSession: true,
      }).catch((error: unknown) => {
        if (error instanceof SignInFailed) return null;
        throw error;
      });
    },
    async refresh({ chainId }) {
      const held = tokens.get(chainId);
      if (!held) throw new Error('a chain that nobody holds');
      const { status, body } = await refresh({ issuer: harness.issuer, ...held });
      if (body.refresh_token !== undefined) tokens.set(chainId, { ...held, refreshToken: body.refresh_token });
      return status === 200;
    },
    stop: () => Promise.resolve(),
  };
});

// between the use of a token and the storing of its successor a chain has no token that is unused, and yet it mints
it.each(['RefreshToken', 'AuthorizationCode'])(
  'a chain whose %s is being used at this moment is found',
  async (kind) => {
    const { claims } = await signIn({ issuer: harness.issuer, user: 'linus', organization: 'acme' });
    const sessionIds = [String(claims['sid'])];
    await harness.sql(
      `update auth_tokens set kind = $2, consumed_at = clock_timestamp()
     where chain_id = (select chain_id from auth_chains where session_id = $1) and consumed_at is null`,
      [sessionIds[0], kind],
    );
    const authModule = createHttpAuthModule({ url: harness.issuer, token: authModuleToken });
    const find = async () => (await authModule.listRefreshChains({ organizationId: 'acme', sessionIds }, null)).chains;
    expect(await find()).toHaveLength(1);
    // what was used and has had no successor for a while is dead: its user lost the answer
    await harness.sql(
      `update auth_tokens set consumed_at = clock_timestamp() - interval '1 minute' where consumed_at is not null`,
    );
    expect(await find()).toEqual([]);
  },
);

// the chain is there, its first token is not yet: no search can tell of it, and nobody will kill it by its own id
it('a chain that is being made while its session is ended gets no token', async () => {
  const holding = new Client(harness.databaseUrl);
  await holding.connect();
  await holding.query('begin; lock table auth_tokens in exclusive mode');
  const organizationId = `org-${randomUUID()}`;
  const entering = harness.post('/demo/sign-ins', { organizationId, userId: 'ada' });
  const [chain] = await eventually(
    () =>
      harness.sql<{ id: string }>('select session_id as id from auth_chains where organization_id = $1', [
        organizationId,
      ]),
    (chains) => chains.length === 1,
  );
  const sessionIds = chain === undefined ? [] : [chain.id];
  await harness.post('/refresh-chains/invalidate', { organizationId, terminationId: 't', sessionIds, chainIds: [] });
  await holding.query('commit');
  await holding.end();
  expect((await entering).body).toEqual([]);
});
