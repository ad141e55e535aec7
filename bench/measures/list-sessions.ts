import { sql } from 'kysely';
import { openDatabase, rows } from '../../src/database.ts';
import { pagesStatement } from '../../src/service/read-sessions.ts';
import type { BenchStack } from '../stack.ts';
import { runLoad } from '../load.ts';
import { figure, type Figure } from '../report.ts';

const users = 10_000;
const sessions = Number(process.env['BENCH_SESSIONS'] ?? 1_000_000);
const seconds = Number(process.env['BENCH_SECONDS'] ?? 10);

/** One organization, `sessions` sessions of 10,000 users, each with one chain; a page of 50 of one user at a time. */
export async function listSessions(stack: BenchStack): Promise<Figure[]> {
  await seed(stack);
  const plan = await explain(stack);
  process.stdout.write(`${plan}\n`);
  const token = await stack.adminToken('big');
  const requests = Array.from({ length: 500 }, () => ({
    method: 'GET' as const,
    path: `/v1/organizations/big/users/user-${Math.floor(Math.random() * users)}/sessions?limit=50`,
  }));
  const load = (duration: number) =>
    runLoad({ url: stack.url, connections: 32, duration, headers: { authorization: `Bearer ${token}` }, requests });
  // until the code is compiled and the pages are read: the first seconds are slower by a fifth
  await load(8);
  const result = await load(seconds);
  const rate = result.requests.average;
  const isRange = /Index Scan Backward using sessions_active/.test(plan) && !/Seq Scan on sessions/.test(plan);
  return [
    figure(
      'list',
      `50 rows of one user among ${sessions} sessions, over HTTP`,
      rate,
      'requests/s',
      '>= 1500',
      rate >= 1_500,
    ),
    figure('list', 'latency p50', result.latency.p50, 'ms'),
    figure('list', 'latency p99', result.latency.p99, 'ms'),
    figure('list', 'a page is a range of the index by start', isRange ? 1 : 0, '', '= 1', isRange),
  ];
}

async function seed({ pool }: BenchStack): Promise<void> {
  await pool.query(`insert into organizations (id) values ('big')`);
  await pool.query(
    `insert into users (organization_id, id) select 'big', 'user-' || n from generate_series(0, ${users - 1}) n`,
  );
  await pool.query(`insert into sessions (organization_id, id, user_id, started_at, recorded_at, last_seen_at, expires_at, ip_address, user_agent, client, authentication_methods)
    select 'big', 'session-' || n, 'user-' || (n % ${users}), now() - interval '1 day', now() - interval '1 day', now() - (n * interval '37 milliseconds'), now() + interval '13 days',
      '198.51.100.' || (n % 250), 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36', 'web', '{pwd,otp}' from generate_series(1, ${sessions}) n`);
  await pool.query(
    `insert into refresh_token_chains (organization_id, id, session_id, user_id, recorded_at) select 'big', 'chain-' || n, 'session-' || n, 'user-' || (n % ${users}), now() from generate_series(1, ${sessions}) n`,
  );
  await pool.query('vacuum analyze');
  // what was seeded is not written to disk beside what is measured
  await pool.query('checkpoint');
}

/** The plan of the list's own statement, for two pages. */
async function explain({ databaseUrl }: BenchStack): Promise<string> {
  const database = await openDatabase({ url: databaseUrl, applicationName: 'bench' });
  const pages = ['user-7', 'user-8'].map((userId) => ({ organizationId: 'big', userId, limit: 51, after: null }));
  const lines = await rows<Record<'QUERY PLAN', string>>(
    database.pool,
    sql`explain (analyze, buffers) ${pagesStatement(pages, 'active', false)}`,
  );
  await database.close();
  return lines.map((line) => line['QUERY PLAN']).join('\n');
}
