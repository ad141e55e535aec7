import { beforeEach, expect, test } from 'vitest';
import { refresh, signIn } from '../../reference-auth-module/client.ts';
import { endpointsOf } from './endpoints.ts';
import { useReferenceAuthModule } from './harness.ts';

const harness = useReferenceAuthModule();
beforeEach(() => harness.service.reset());

const { search, invalidate, signIns } = endpointsOf(harness);
const issuer = () => harness.issuer;
const bulk = (organizationId: string, userId: string, count: number, clients = ['web']) =>
  signIns({ organizationId, userId, count, clients });
const dead = (list: object[]) => list.map((each) => ({ ...each, outcome: 'already-dead' }));
const organization = () => `org-${crypto.randomUUID()}`;

test('kills exactly what is named, and repeating it says so', async () => {
  const org = organization();
  const [a, b] = await bulk(org, 'u', 2);
  const chains = [
    { chainId: a!.chainId, outcome: 'invalidated' },
    { chainId: 'unknown', outcome: 'already-dead' },
  ];
  const sessions = [{ sessionId: a!.sessionId, outcome: 'invalidated' }];
  const request = { sessionIds: [a!.sessionId], chainIds: [a!.chainId, 'unknown'] };
  expect(await invalidate(org, request)).toEqual({ chains, sessions });
  expect(await invalidate(org, request)).toEqual({ chains: dead(chains), sessions: dead(sessions) });
  expect((await refresh({ issuer: issuer(), refreshToken: a!.refreshToken })).body.error).toBe('invalid_grant');
  expect((await refresh({ issuer: issuer(), refreshToken: b!.refreshToken })).status).toBe(200);
});

test("another organization's session and chain are unknown, and untouched", async () => {
  const [theirs] = await bulk(organization(), 'u', 1);
  const answer = await invalidate(organization(), { sessionIds: [theirs!.sessionId], chainIds: [theirs!.chainId] });
  expect([answer.chains[0]?.outcome, answer.sessions[0]?.outcome]).toEqual(['already-dead', 'already-dead']);
  expect((await refresh({ issuer: issuer(), refreshToken: theirs!.refreshToken })).status).toBe(200);
});

test('the browser is signed out too: no new code or chain in an ended sign-in, while its chains die by their own ids', async () => {
  const { claims, cookies, refreshToken } = await signIn({ issuer: issuer(), user: 'linus', organization: 'acme' });
  await invalidate('acme', { sessionIds: [String(claims.sid)] });
  const again = { issuer: issuer(), user: 'linus', organization: 'acme', cookies, continueSession: true };
  await expect(signIn(again)).rejects.toMatchObject({ error: 'sign_in_form' });
  await expect(signIn({ ...again, client: 'mobile' })).rejects.toMatchObject({ error: 'sign_in_form' });
  expect((await refresh({ issuer: issuer(), refreshToken })).status).toBe(200);
});

test.for([1, 60, 199])(
  '200 chains with a refresh of each under way, killed at the %i. answer: not one survives',
  async (killAt) => {
    const org = organization();
    const made = await bulk(org, 'u', 200);
    const newest = new Map(made.map((s) => [s.chainId, s.refreshToken]));
    let answers = 0;
    const moment = Promise.withResolvers<void>();
    const refreshing = made.map(async (s) => {
      const { body } = await refresh({ issuer: issuer(), refreshToken: s.refreshToken });
      if (body.refresh_token) newest.set(s.chainId, body.refresh_token);
      answers += 1;
      if (answers === killAt) moment.resolve();
      return body.refresh_token !== undefined;
    });
    await moment.promise;
    await invalidate(org, { sessionIds: made.map((s) => s.sessionId), chainIds: made.map((s) => s.chainId) });
    const before = (await Promise.all(refreshing)).filter(Boolean).length;
    expect(before).toBeGreaterThanOrEqual(killAt);
    const after = await Promise.all(
      [...newest.values()].map((refreshToken) => refresh({ issuer: issuer(), refreshToken })),
    );
    expect(after.filter((answer) => answer.status === 200)).toHaveLength(0);
    expect(await search({ organizationId: org })).toEqual({ chains: [], nextCursor: null });
  },
);

test('sign-ins under way while their session is ended leave no living chain behind', async () => {
  const user = { issuer: issuer(), user: 'grace', organization: 'acme' };
  const ended: Promise<unknown>[] = [];
  harness.service.answer = (event) => {
    const later = new Promise((resolve) => setTimeout(resolve, Math.random() * 60));
    ended.push(later.then(() => invalidate('acme', { sessionIds: [event.sessionId] })));
    return { outcome: 'accepted' };
  };
  const tokens = await Promise.allSettled(Array.from({ length: 30 }, () => signIn(user)));
  harness.service.reset();
  await Promise.all(ended);
  // what had begun before the end is found by the search, and dies by its id
  const { chains } = await search({ organizationId: 'acme', userId: 'grace' });
  await invalidate('acme', { chainIds: chains.map((chain) => chain.chainId) });
  for (const token of tokens) {
    if (token.status === 'fulfilled') {
      expect((await refresh({ issuer: issuer(), refreshToken: token.value.refreshToken })).status).toBe(400);
    }
  }
});
