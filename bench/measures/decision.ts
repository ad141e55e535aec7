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
  await until(() => isDrained(stack), 120_000);
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

/** Organizations of 10 and of 100,000 sessions, decided in turns. */
async function sizeDoesNotMatter(stack: BenchStack): Promise<Figure[]> {
  const sizes = [10, 100_000];
  const samples = new Map<number, number[]>(sizes.map((size) => [size, []]));
  for (const size of sizes) await seedSessions(stack, `size-${size}`, size);
  await stack.pool.query('analyze sessions');
  for (let n = 0; n < 30; n++) {
    for (const size of sizes) {
      const token = await stack.adminToken(`size-${size}`);
      // a scope of its own each time, so that nothing is joined: a user who is not there costs what a user costs
      const body = await terminate(
        stack,
        token,
        `/v1/organizations/size-${size}/users/nobody-${n}/sessions/terminate`,
        'respond-async',
      );
      samples.get(size)?.push(body.ms);
    }
  }
  const once: number[] = [];
  for (const size of sizes)
    once.push(
      (
        await terminate(
          stack,
          await stack.adminToken(`size-${size}`),
          `/v1/organizations/size-${size}/sessions/terminate`,
          'respond-async',
        )
      ).ms,
    );
  const [small = [], large = []] = sizes.map((size) => samples.get(size)?.slice(5) ?? []);
  const ratio = percentile(large, 50) / percentile(small, 50);
  return [
    figure('decision', 'organization of 100,000 beside one of 10, p50', ratio, 'x', '<= 1.3', ratio <= 1.3),
    figure('decision', 'end the organization of 100,000: the decision', once[1] ?? Number.NaN, 'ms'),
    figure('decision', 'end the organization of 10: the decision', once[0] ?? Number.NaN, 'ms'),
  ];
}
