import { beforeEach, expect, test } from 'vitest';
import { signIn } from '../../reference-auth-module/client.ts';
import { endpointsOf } from './endpoints.ts';
import { useReferenceAuthModule } from './harness.ts';

const harness = useReferenceAuthModule();
beforeEach(() => harness.service.reset());

const { search, invalidate, signIns } = endpointsOf(harness);
const issuer = () => harness.issuer;
const bulk = (organizationId: string, userId: string, count: number, clients = ['web']) =>
  signIns({ organizationId, userId, count, clients });
const chainIdsOf = ({ chains }: { chains: { chainId: string }[] }) => chains.map((chain) => chain.chainId).toSorted();
const organization = () => `org-${crypto.randomUUID()}`;

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
  expect(chainIdsOf(await search({ organizationId: org, sessionIds: [two[0]!.sessionId] }))).toEqual([two[0]!.chainId]);
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
