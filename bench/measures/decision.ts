import { figure, type Figure, percentile } from '../report.ts';
import { seedSessions, terminate } from '../sessions.ts';
import { type BenchStack, until } from '../stack.ts';

const burst = 1_000;

/** `Prefer: respond-async`: the decision alone. The delivery and the killing are the dispatcher's and the workers'. */
export async function decisionAlone(stack: BenchStack): Promise<Figure[]> {
  const bySize = await sizeDoesNotMatter(stack);
  const token = await stack.adminToken('burst');
  await seedSessions(stack, 'burst', 2 * burst + 60);
  const decide = async (user: number) =>
    (await terminate(stack, token, `/v1/organizations/burst/users/user-${user}/sessions/terminate`, 'respond-async'))
      .ms;
  await until(() => isDrained(stack), 300_000);
  const alone: number[] = [];
  for (let n = 0; n < 60; n++) alone.push(await decide(2 * burst + n));
  await until(() => isDrained(stack), 120_000);
  const began = performance.now();
  const rate = await tenCallers(decide, 0);
  await until(() => isDrained(stack), 600_000, 200);
  const drainedMs = performance.now() - began;
  // the same while nobody works on what is decided: what the decisions themselves cost, on the same cores
  process.kill(stack.workerPid(), 'SIGSTOP');
  const heldRate = await tenCallers(decide, burst);
  process.kill(stack.workerPid(), 'SIGCONT');
  await until(() => isDrained(stack), 600_000, 200);
  const p50 = percentile(alone.slice(10), 50);
  return [
    figure('decision', 'one caller, p50', p50, 'ms', '<= 8', p50 <= 8),
    figure('decision', 'ten callers, burst of 1,000 users', rate, 'users/s', '>= 400', rate >= 400),
    figure('decision', 'until the last of the burst is confirmed', drainedMs / 1_000, 's'),
    figure('decision', 'the same burst while the worker is held', heldRate, 'users/s'),
    ...bySize,
  ];
}

async function tenCallers(decide: (user: number) => Promise<unknown>, firstUser: number): Promise<number> {
  const began = performance.now();
  let next = firstUser;
  await Promise.all(
    Array.from({ length: 10 }, async () => {
      for (let n = next++; n < firstUser + burst; n = next++) await decide(n);
    }),
  );
  return burst / ((performance.now() - began) / 1_000);
}

async function isDrained({ pool }: BenchStack): Promise<boolean> {
  const { rowCount } = await pool.query(`select 1 from terminations where status = 'running' limit 1`);
  return rowCount === 0;
}

/** Ends an organization of 10 and one of 100,000 sessions in turns, all of it each time, while nobody works on what is decided. */
async function sizeDoesNotMatter(stack: BenchStack): Promise<Figure[]> {
  const sizes = [10, 100_000];
  const samples = new Map<number, number[]>(sizes.map((size) => [size, []]));
  for (const size of sizes) await seedSessions(stack, `size-${size}`, size);
  await stack.pool.query('analyze sessions');
  const tokens = new Map<number, string>();
  for (const size of sizes) tokens.set(size, await stack.adminToken(`size-${size}`));
  process.kill(stack.workerPid(), 'SIGSTOP');
  // a caller ends everybody's sessions of an organization thirty times a minute at most
  for (let n = 0; n < 28; n++)
    for (const size of sizes) {
      const path = `/v1/organizations/size-${size}/sessions/terminate`;
      // another one is kept each time, so that none joins the one before
      const body = { exceptSessionIds: [`size-${size}-session-${n % size}`, `nobody-${n}`] };
      samples.get(size)?.push((await terminate(stack, tokens.get(size) ?? '', path, 'respond-async', body)).ms);
    }
  process.kill(stack.workerPid(), 'SIGCONT');
  const [small = 0, large = 0] = sizes.map((size) => percentile(samples.get(size)?.slice(8) ?? [], 50));
  const ratio = large / small;
  return [
    figure('decision', 'to end 100,000 sessions beside 10, p50', ratio, 'x', '<= 1.3', ratio <= 1.3),
    figure('decision', 'to end an organization of 100,000', large, 'ms'),
    figure('decision', 'to end an organization of 10', small, 'ms'),
  ];
}
