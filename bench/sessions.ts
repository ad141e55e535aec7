import { ask } from './http.ts';
import type { BenchStack } from './stack.ts';

/** Puts `count` sessions of one organization, one chain each, into the database and the Auth Module, without the door: what is measured comes after. */
export async function seedSessions(
  { pool, authModule }: BenchStack,
  organization: string,
  count: number,
  users = count,
): Promise<void> {
  await pool.query(`insert into organizations (id) values ($1) on conflict do nothing`, [organization]);
  await pool.query(
    `insert into users (organization_id, id) select $1, 'user-' || n from generate_series(0, $2::int - 1) n on conflict do nothing`,
    [organization, users],
  );
  await pool.query(
    `insert into sessions (organization_id, id, user_id, started_at, recorded_at, last_seen_at, expires_at)
      select $1, $1 || '-session-' || n, 'user-' || (n % $3::int), current_instant(), current_instant(), current_instant(), current_instant() + interval '13 days' from generate_series(0, $2::int - 1) n`,
    [organization, count, users],
  );
  await pool.query(
    `insert into refresh_token_chains (organization_id, id, session_id, user_id, recorded_at)
      select $1, $1 || '-chain-' || n, $1 || '-session-' || n, 'user-' || (n % $3::int), current_instant() from generate_series(0, $2::int - 1) n`,
    [organization, count, users],
  );
  const sessionStartedAt = new Date(Date.now() - 1_000).toISOString();
  authModule.chains.addMany(
    Array.from({ length: count }, (_, n) => ({
      chainId: `${organization}-chain-${n}`,
      sessionId: `${organization}-session-${n}`,
      organizationId: organization,
      userId: `user-${n % users}`,
      sessionStartedAt,
    })),
  );
}

export interface TerminationAnswer {
  id: string;
  status: 'running' | 'completed';
  sessions: { total: number; pending: number };
  chains: { total: number; confirmed: number; pending: number };
}

/** One terminating call; resolves with the answer and how long it took, in milliseconds. */
export async function terminate(
  stack: BenchStack,
  token: string,
  path: string,
  prefer: string,
  body: Record<string, unknown> = {},
): Promise<{ ms: number; termination: TerminationAnswer }> {
  const began = performance.now();
  const text = await ask(`${stack.url}${path}`, {
    method: 'POST',
    token,
    headers: { prefer },
    body: JSON.stringify(body),
  });
  return { ms: performance.now() - began, termination: JSON.parse(text) as TerminationAnswer };
}

/** Asks until the termination is completed; resolves with when that was, in milliseconds since `began`. */
export async function completed(
  stack: BenchStack,
  token: string,
  organization: string,
  id: string,
  began: number,
): Promise<{ ms: number; termination: TerminationAnswer }> {
  for (;;) {
    const text = await ask(`${stack.url}/v1/organizations/${organization}/terminations/${id}`, {
      method: 'GET',
      token,
    });
    const termination = JSON.parse(text) as TerminationAnswer;
    if (termination.status === 'completed') return { ms: performance.now() - began, termination };
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
