import { figure, type Figure, percentile } from '../report.ts';
import { seedSessions, terminate } from '../sessions.ts';
import type { BenchStack } from '../stack.ts';
import { startEngine } from '../yardstick/engine.ts';

const rounds = Number(process.env['BENCH_ROUNDS'] ?? 40);

/** From the click to the last chain confirmed and the termination completed, beside an empty workflow, in turns. */
export async function clickToConfirmed(stack: BenchStack): Promise<Figure[]> {
  const engine = await startEngine(stack.temporalAddress);
  const figures: Figure[] = [];
  try {
    await engine.runOne();
    for (const [size, times] of [
      [1, rounds],
      [10, Math.ceil(rounds / 2)],
      [1_000, 3],
    ] as const) {
      const organization = `click-${size}`;
      const token = await stack.adminToken(organization);
      await seedSessions(stack, organization, size * (times + 1), times + 1);
      const [ours, empty]: [number[], number[]] = [[], []];
      for (let n = 0; n <= times; n++) {
        empty.push(await engine.runOne());
        const { ms, termination } = await terminate(
          stack,
          token,
          `/v1/organizations/${organization}/users/user-${n}/sessions/terminate`,
          'wait=30',
        );
        if (termination.status !== 'completed' || termination.chains.confirmed !== size)
          throw new Error(`not ended: ${JSON.stringify(termination)}`);
        if (n > 0) ours.push(ms);
      }
      const name = `${size} session${size === 1 ? '' : 's'}`;
      figures.push(
        figure('click', `${name}: click to last chain confirmed, p50`, percentile(ours, 50), 'ms'),
        figure('click', `${name}: p99`, percentile(ours, 99), 'ms'),
        figure('click', `${name}: an empty workflow, p50`, percentile(empty, 50), 'ms'),
      );
      const ratio = percentile(ours, 50) / percentile(empty, 50);
      if (size === 1)
        figures.push(figure('click', 'one session beside an empty workflow, p50', ratio, 'x', '<= 1.6', ratio <= 1.6));
    }
    return figures;
  } finally {
    await engine.stop();
  }
}
