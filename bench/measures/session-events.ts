import { randomUUID } from 'node:crypto';
import type { BenchStack } from '../stack.ts';
import { figure, type Figure } from '../report.ts';

const batch = 1_000;
const seconds = Number(process.env['BENCH_SECONDS'] ?? 10);
const FORTNIGHT_MS = 1_209_600_000;

/** What tells a session: the same in its start and in each refresh. */
interface Told {
  organizationId: string;
  userId: string;
  sessionId: string;
  chainId: string;
  startedAt: string;
}

/** Starts of new sessions with their chain, in batches of 1,000, from two callers at once; then refreshes of the same sessions. */
export async function sessionEvents(stack: BenchStack): Promise<Figure[]> {
  const post = await createPost(stack);
  const known: Told[] = [];
  const start = () => {
    const sessions = Array.from({ length: batch }, (_, n) => newSession(n));
    known.push(...sessions);
    return post('session.started', sessions);
  };
  await start();
  const starts = await rateOf(start);
  const before = await updatesOf(stack);
  const refreshes = await rateOf(() => post('session.refreshed', sample(known)));
  const after = await updatesOf(stack);
  const hot = (after.hot - before.hot) / Math.max(1, after.all - before.all);
  return [
    figure('events', 'new sessions in batches of 1,000, over HTTP', starts, 'events/s', '>= 5000', starts >= 5_000),
    figure('events', 'refreshes of them, each with a later end', refreshes, 'events/s'),
    figure('events', 'of these, updates that touched no index (HOT)', hot * 100, '%', '>= 80', hot >= 0.8),
  ];
}

const newSession = (n: number): Told => ({
  organizationId: `events-${n % 10}`,
  userId: `user-${Math.floor(Math.random() * 5_000)}`,
  sessionId: randomUUID(),
  chainId: randomUUID(),
  startedAt: new Date().toISOString(),
});

/** A thousand of them, from here and there, as sessions are used. */
const sample = (known: readonly Told[]): Told[] => {
  const stride = Math.max(1, Math.floor(known.length / batch));
  return Array.from({ length: batch }, (_, n) => known[n * stride + Math.floor(Math.random() * stride)]).flatMap(
    (told) => told ?? [],
  );
};

async function createPost(stack: BenchStack) {
  const token = await stack.issuer.token({ sub: 'auth-module', client_id: 'auth-module', scope: 'sessions:ingest' });
  return async (type: string, sessions: readonly Told[]) => {
    const now = new Date();
    const occurredAt = now.toISOString();
    const events = sessions.map((told) => ({
      ...told,
      eventId: randomUUID(),
      type,
      occurredAt,
      expiresAt: new Date(now.getTime() + FORTNIGHT_MS).toISOString(),
      ipAddress: '198.51.100.7',
      userAgent: 'Mozilla/5.0',
      client: 'web',
      authenticationMethods: ['pwd'],
    }));
    const response = await fetch(`${stack.url}/v1/session-events`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ events, sentAt: occurredAt }),
    });
    const { results } = (await response.json()) as { results: { outcome: string }[] };
    // of two batches that tell of one session at once the later may come first
    const refused = results.find(({ outcome }) => outcome !== 'accepted' && outcome !== 'stale');
    if (refused !== undefined) throw new Error(`not all accepted: ${JSON.stringify(refused)}`);
  };
}

/** Events a second of two callers at once. */
async function rateOf(post: () => Promise<void>): Promise<number> {
  const began = performance.now();
  let batches = 0;
  const caller = async () => {
    for (; performance.now() - began < seconds * 1_000; batches++) await post();
  };
  await Promise.all([caller(), caller()]);
  return (batches * batch) / ((performance.now() - began) / 1_000);
}

/** Rows of `sessions` that were updated so far, and those of them that stayed on their page with every index as it was. */
async function updatesOf({ pool }: BenchStack): Promise<{ all: number; hot: number }> {
  // what a backend has counted it tells a second later
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  const { rows } = await pool.query<{ all: number; hot: number }>(
    `select n_tup_upd::int as all, n_tup_hot_upd::int as hot from pg_stat_user_tables where relname = 'sessions'`,
  );
  return rows[0] ?? { all: 0, hot: 0 };
}
