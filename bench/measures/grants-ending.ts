import { ask, type Question } from '../http.ts';
import { residentMiB } from '../memory.ts';
import { figure, type Figure } from '../report.ts';
import { type BenchStack, until } from '../stack.ts';
import { startEngine } from '../yardstick/engine.ts';

const count = Number(process.env['BENCH_GRANTS'] ?? 2_000);
const yardstickRuns = 500;
const inFlight = 20;

interface Grant {
  organization: string;
  id: string;
}

/** Arms many grants through the door, replaces the worker, moves their ends to one near instant by the same door, and watches access end and clean-up follow. */
export async function grantsEnding(stack: BenchStack): Promise<Figure[]> {
  const token = await stack.issuer.token({ sub: 'settings', client_id: 'settings', scope: 'support-access:manage' });
  const before = memory(stack);
  const grants: Grant[] = [];
  const armed = await timed(() =>
    inParallel(count, inFlight, async (n) => void grants.push(await arm(stack, token, `granting-${n}`))),
  );
  const open = memory(stack);
  const replaced = await timed(() => stack.replaceWorker().then(() => arm(stack, token, 'after-the-restart')));
  const afterwards = memory(stack);
  const end = new Date(Date.now() + Math.max(30_000, count * 15));
  await inParallel(count, inFlight, async (n) => {
    const grant = grants[n];
    if (grant !== undefined)
      await ask(`${stack.url}/v1/organizations/${grant.organization}/support-access-grants/${grant.id}`, {
        method: 'PATCH',
        token,
        body: JSON.stringify({ expiresAt: end.toISOString() }),
      });
  });
  const lagMs = await decisionLag(stack, grants, end);
  await until(() => areCleared(stack), 1_800_000, 250);
  const cleared = (Date.now() - end.getTime()) / 1_000;
  const [localRate, engineRate] = await yardsticks(stack);
  const share = (100 * (count / cleared)) / engineRate;
  return [
    figure('grants', `${count} grants armed`, count / armed, 'grants/s'),
    figure('grants', 'worker memory with all open', open.worker, 'MiB', `(${before.worker} before)`),
    figure('grants', 'Temporal memory with all open', open.temporal, 'MiB', `(${before.temporal} before)`),
    figure('grants', 'worker killed with all open: until a new grant is armed', replaced, 's'),
    figure('grants', 'worker memory after that', afterwards.worker, 'MiB'),
    figure('grants', 'access still allowed after the end, longest', lagMs, 'ms', '= 0', lagMs === 0),
    figure('grants', 'all cleared after', cleared, 's'),
    figure('grants', 'workflows of one local activity on the same server', localRate, 'workflows/s'),
    figure('grants', 'workflows of one activity on the same server', engineRate, 'workflows/s'),
    figure('grants', "clean-up beside the engine's one-activity workflows", share, '%', '>= 50', share >= 50),
  ];
}

const memory = (stack: BenchStack) => ({
  worker: residentMiB(stack.workerPid()) ?? Number.NaN,
  temporal: residentMiB(stack.temporalPid) ?? Number.NaN,
});

/** Asks again while there is no worker, or none is quick enough: then nothing was granted. */
async function arm(stack: BenchStack, token: string, organization: string): Promise<Grant> {
  const question: Question = {
    method: 'POST',
    token,
    body: JSON.stringify({ userId: null, expiresAt: new Date(Date.now() + 86_400_000).toISOString() }),
  };
  for (;;) {
    try {
      const answer = await ask(`${stack.url}/v1/organizations/${organization}/support-access-grants`, question);
      return { organization, id: (JSON.parse(answer) as { id: string }).id };
    } catch (error) {
      if (!(error instanceof Error) || !error.message.startsWith('503')) throw error;
    }
  }
}

async function areCleared(stack: BenchStack): Promise<boolean> {
  const { rowCount } = await stack.pool.query(
    `select 1 from support_access_grants where organization_id like 'granting-%' and voided_at is null and sessions_cleared_at is null limit 1`,
  );
  return rowCount === 0;
}

/** Asks the check endpoint for random grants around their end; how long after it any was still allowed, by the answer's own clock. */
async function decisionLag(stack: BenchStack, grants: readonly Grant[], end: Date): Promise<number> {
  const token = await stack.issuer.token({ sub: 'gateway', client_id: 'gateway', scope: 'support-access:check' });
  let lagMs = 0;
  while (Date.now() < end.getTime() + 3_000) {
    const organizationId = grants[Math.floor(Math.random() * grants.length)]?.organization;
    const asked = Date.now();
    const answer = await ask(`${stack.url}/v1/support-access/check`, {
      method: 'POST',
      token,
      body: JSON.stringify({ organizationId, userId: 'staff', role: 'global_admin' }),
    });
    // asked after the end and still allowed: late for certain
    if ((JSON.parse(answer) as { decision: string }).decision === 'allow')
      lagMs = Math.max(lagMs, asked - end.getTime());
  }
  return Math.max(0, lagMs);
}

/** What the engine does of its own on the same server in the same minutes, as many at a time as it likes best. */
async function yardsticks(stack: BenchStack): Promise<[number, number]> {
  const engine = await startEngine(stack.temporalAddress);
  const rate = async (workflow: 'empty' | 'oneActivity') => {
    await engine.runOne(workflow);
    return yardstickRuns / (await timed(() => inParallel(yardstickRuns, 50, () => engine.runOne(workflow))));
  };
  try {
    return [await rate('empty'), await rate('oneActivity')];
  } finally {
    await engine.stop();
  }
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1_000;
}

async function inParallel(times: number, lanes: number, work: (n: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  await Promise.all(
    Array.from({ length: lanes }, async () => {
      for (let n = next++; n < times; n = next++) await work(n);
    }),
  );
}
