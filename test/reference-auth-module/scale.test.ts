import { beforeAll, expect, test } from 'vitest';
import { endpointsOf } from './endpoints.ts';
import { useReferenceAuthModule } from './harness.ts';

const harness = useReferenceAuthModule();
const { search, invalidate } = endpointsOf(harness);
const organizationId = 'large';

// 100,000 sessions of 10,000 users with one chain and one living refresh token each
beforeAll(async () => {
  await harness.sql(`insert into auth_sessions (session_id, organization_id, user_id, roles, started_at, expires_at, accepted_at)
    select 's' || i, '${organizationId}', 'u' || i % 10000, '{user}', now() - make_interval(secs => 100000 - i), now() + interval '30 days', now()
    from generate_series(1, 100000) i`);
  await harness.sql(`insert into auth_chains (chain_id, session_id, client_id, organization_id, user_id, session_started_at, grant_payload, expires_at)
    select 'c' || session_id, session_id, 'web', organization_id, user_id, started_at, '{}', expires_at from auth_sessions`);
  await harness.sql(`insert into auth_tokens (key, kind, chain_id, payload, expires_at)
    select sha256(chain_id::bytea), 'RefreshToken', chain_id, '{}', expires_at from auth_chains`);
  await harness.sql('analyze auth_sessions, auth_chains, auth_tokens');
});

interface Timed<T> {
  ms: number;
  result: T;
}

async function timed<T>(act: () => Promise<T>): Promise<Timed<T>> {
  const begun = performance.now();
  const result = await act();
  return { ms: performance.now() - begun, result };
}

test('among 100,000 chains a search costs the same on every page and for every filter', async ({ annotate }) => {
  const pages: number[] = [];
  let cursor: string | null = null;
  for (let page = 0; page < 200; page += 1) {
    const { ms, result }: Timed<Awaited<ReturnType<typeof search>>> = await timed(() =>
      search({ organizationId, ...(cursor && { cursor }) }),
    );
    expect(result.chains).toHaveLength(500);
    cursor = result.nextCursor;
    pages.push(ms);
  }
  expect(cursor).toBeNull();
  const users: number[] = [];
  for (let user = 0; user < 30; user += 1) {
    const filter = { organizationId, userId: `u${user}`, sessionStartedAtOrBefore: new Date().toISOString() };
    const { ms, result } = await timed(() => search(filter));
    expect(result.chains).toHaveLength(10);
    users.push(ms);
  }
  await annotate(`a page of 500: ${figures(pages)}; the chains of one user: ${figures(users)}`);
  expect(median(pages)).toBeLessThan(250);
  expect(median(users)).toBeLessThan(250);
});

test('100,000 sessions are invalidated 500 at a time', async ({ annotate }) => {
  const times: number[] = [];
  const kill = async (call: number) => {
    const numbers = Array.from({ length: 500 }, (_, i) => call * 500 + i + 1);
    const ids = { sessionIds: numbers.map((i) => `s${i}`), chainIds: numbers.map((i) => `cs${i}`) };
    const { ms, result } = await timed(() => invalidate(organizationId, ids));
    expect(result.chains.every((chain) => chain.outcome === 'invalidated')).toBe(true);
    times.push(ms);
  };
  for (let call = 0; call < 20; call += 1) await kill(call);
  const alone = figures(times.splice(0));
  const begun = performance.now();
  const rest = Array.from({ length: 180 }, (_, i) => 20 + i).values();
  const worker = async () => {
    for (const call of rest) await kill(call);
  };
  await Promise.all([worker(), worker(), worker(), worker()]);
  const seconds = ((performance.now() - begun) / 1000).toFixed(1);
  await annotate(`500 of each alone: ${alone}; 90,000 by four callers in ${seconds} s: ${figures(times)}`);
  expect(median(times)).toBeLessThan(500);
  expect(await search({ organizationId })).toEqual({ chains: [], nextCursor: null });
});

function median(times: number[]): number {
  return times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)] ?? Infinity;
}

function figures(times: number[]): string {
  return `median ${median(times).toFixed(1)} ms, worst ${Math.max(...times).toFixed(1)} ms`;
}
