import { beforeEach, describe, expect, test } from 'vitest';
import { refresh, signIn } from '../../reference-auth-module/client.ts';
import { endpointsOf } from './endpoints.ts';
import { useReferenceAuthModule } from './harness.ts';

const harness = useReferenceAuthModule();
beforeEach(() => harness.service.reset());

const { search, invalidate, signIns } = endpointsOf(harness);
const issuer = () => harness.issuer;
const bulk = (organizationId: string, userId: string, count: number, clients = ['web']) =>
  signIns({ organizationId, userId, count, clients });
const chainIdsOf = ({ chains }: { chains: { chainId: string }[] }) => chains.map((chain) => chain.chainId).toSorted();
const dead = (list: object[]) => list.map((each) => ({ ...each, outcome: 'already-dead' }));
const organization = () => `org-${crypto.randomUUID()}`;

describe('search', () => {
  test('finds chains by organization, user, session and time of the session', async () => {
    const org = organization();
    const [one, two] = [await bulk(org, 'u1', 1, ['web', 'mobile']), await bulk(org, 'u2', 1)];
    const all = await search({ organizationId: org });
    expect(chainIdsOf(all)).toEqual([...one, ...two].map((s) => s.chainId).toSorted());
    const startedAt = harness.service.of(one[0]!.sessionId)[0]!.startedAt;
    expect(all.chains[0]).toEqual({
      chainId: expect.any(String),
      sessionId: one[0]!.sessionId,
      userId: 'u1',
      organizationId: org,
      sessionStartedAt: startedAt,
      supportAccessGrantId: null,
    });
    expect(chainIdsOf(await search({ organizationId: org, userId: 'u2' }))).toEqual([two[0]!.chainId]);
    expect(chainIdsOf(await search({ organizationId: org, sessionIds: [two[0]!.sessionId] }))).toEqual([
      two[0]!.chainId,
    ]);
    expect(chainIdsOf(await search({ organizationId: org, sessionStartedAtOrBefore: startedAt }))).toEqual(
      one.map((s) => s.chainId).toSorted(),
    );
    expect(await search({ organizationId: org, supportAccessGrantId: 'none' })).toEqual({
      chains: [],
      nextCursor: null,
    });
    expect(await search({ organizationId: organization() })).toEqual({ chains: [], nextCursor: null });
  });

  test('a later client counts by the start of its session', async () => {
    const { claims, cookies } = await signIn({ issuer: issuer(), user: 'hank', organization: 'globex' });
    const cutoff = new Date().toISOString();
    await signIn({
      issuer: issuer(),
      user: 'hank',
      organization: 'globex',
      client: 'mobile',
      cookies,
      continueSession: true,
    });
    const { chains } = await search({
      organizationId: 'globex',
      sessionIds: [claims.sid],
      sessionStartedAtOrBefore: cutoff,
    });
    expect(chains).toHaveLength(2);
  });

  test('pages are whole: every chain once, whatever the number', async () => {
    const org = organization();
    const made = [...(await bulk(org, 'u', 700)), ...(await bulk(org, 'v', 600))];
    const seen: string[] = [];
    let cursor: string | null = null;
    do {
      const page = await search({ organizationId: org, ...(cursor && { cursor }) });
      seen.push(...page.chains.map((c) => c.chainId));
      cursor = page.nextCursor;
    } while (cursor);
    expect(seen.toSorted()).toEqual(made.map((s) => s.chainId).toSorted());
  });

  test('only chains that can still mint: not the killed, nor those whose tokens ran out', async () => {
    const org = organization();
    const [kept, killed, ranOut] = await bulk(org, 'u', 3);
    await invalidate(org, { chainIds: [killed!.chainId] });
    await harness.sql(`update auth_tokens set expires_at = now() where chain_id = $1`, [ranOut!.chainId]);
    expect(chainIdsOf(await search({ organizationId: org }))).toEqual([kept!.chainId]);
  });
});

describe('invalidate', () => {
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
});

describe('the door', () => {
  const paths = [
    '/refresh-chains/search',
    '/refresh-chains/invalidate',
    '/demo/tokens',
    '/demo/sign-ins',
    '/demo/sign-outs',
  ];

  test.for(paths)('%s without the right bearer is 401, before the body is looked at', async (path) => {
    expect((await harness.post(path, '{', 'wrong')).status).toBe(401);
    expect((await fetch(new URL(path, issuer()), { method: 'POST' })).status).toBe(401);
  });

  test.for([
    ['/refresh-chains/search', {}],
    ['/refresh-chains/search', '{'],
    ['/refresh-chains/search', { organizationId: 'a', sessionIds: [] }],
    ['/refresh-chains/search', { organizationId: 'a', cursor: 'forged' }],
    ['/refresh-chains/search', { organizationId: 'a', sessionStartedAtOrBefore: 'yesterday' }],
    ['/refresh-chains/search', { organizationId: 'a', unknown: 1 }],
    ['/refresh-chains/invalidate', { organizationId: 'a', terminationId: 't', sessionIds: [] }],
    [
      '/refresh-chains/invalidate',
      { organizationId: 'a', terminationId: 't', sessionIds: [], chainIds: Array(501).fill('x') },
    ],
    ['/refresh-chains/invalidate', { organizationId: 'a', terminationId: 't', sessionIds: [''], chainIds: [] }],
  ] as const)('%s refuses %j with 400', async ([path, body]) => {
    expect((await harness.post(path, body)).status).toBe(400);
  });
});
