import { beforeAll, expect, test } from 'vitest';
import { useReferenceAuthModule } from './harness.ts';

const harness = useReferenceAuthModule();
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

async function timed<T>(act: () => Promise<T>): Promise<{ ms: number; result: T }> {
  const begun = performance.now();
  const result = await act();
  return { ms: performance.now() - begun, result };
}

test('among 100,000 chains a search costs the same on every page and for every filter', async () => {
  const worst = { page: 0, user: 0 };
  let cursor: string | null = null;
  let found = 0;
  for (let page = 0; page < 30; page += 1) {
    const { ms, result } = await timed(() =>
      harness.post('/refresh-chains/search', { organizationId, ...(cursor && { cursor }) }),
    );
    found += result.body.chains.length;
    cursor = result.body.nextCursor;
    worst.page = Math.max(worst.page, ms);
  }
  expect(found).toBe(15_000);
  for (let user = 0; user < 30; user += 1) {
    const cutoff = new Date().toISOString();
    const { ms, result } = await timed(() =>
      harness.post('/refresh-chains/search', { organizationId, userId: `u${user}`, sessionStartedAtOrBefore: cutoff }),
    );
    expect(result.body.chains).toHaveLength(10);
    worst.user = Math.max(worst.user, ms);
  }
  console.log(`search: worst page of 500 ${worst.page.toFixed(1)} ms, worst of one user ${worst.user.toFixed(1)} ms`);
  expect(worst.page).toBeLessThan(250);
});

test('100,000 sessions are invalidated 500 at a time, each call well under 100 ms', async () => {
  const calls = Array.from({ length: 200 }, (_, call) => Array.from({ length: 500 }, (__, i) => call * 500 + i + 1));
  const times: number[] = [];
  const begun = performance.now();
  const queue = calls.values();
  await Promise.all(
    Array.from({ length: 4 }, async () => {
      for (const ids of queue) {
        const request = {
          organizationId,
          terminationId: 't',
          sessionIds: ids.map((i) => `s${i}`),
          chainIds: ids.map((i) => `cs${i}`),
        };
        const { ms, result } = await timed(() => harness.post('/refresh-chains/invalidate', request));
        expect(result.body.chains.every((chain: any) => chain.outcome === 'invalidated')).toBe(true);
        times.push(ms);
      }
    }),
  );
  times.sort((a, b) => a - b);
  console.log(
    `invalidate: 100,000 in ${((performance.now() - begun) / 1000).toFixed(1)} s, 4 calls at once; median ${times[100]!.toFixed(0)} ms, worst ${times[199]!.toFixed(0)} ms`,
  );
  expect(times[100]).toBeLessThan(200);
  expect((await harness.post('/refresh-chains/search', { organizationId })).body.chains).toEqual([]);
});
