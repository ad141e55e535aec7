import { figure, type Figure } from '../report.ts';
import { type BenchStack, until } from '../stack.ts';
import { startEngine } from '../yardstick/engine.ts';

const count = Number(process.env['BENCH_GRANTS'] ?? 2_000);
const yardstickRuns = 200;
const inFlight = 20;

/** Arms many grants through the door, moves their ends to one near instant by the same door, and watches access end and clean-up follow. */
export async function grantsEnding(stack: BenchStack): Promise<Figure[]> {
  const token = await stack.issuer.token({ sub: 'settings', scope: 'support-access:manage' });
  const call = async (method: string, path: string, body: object) => {
    const response = await fetch(`${stack.url}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    return { status: response.status, body: (await response.json()) as { id: string } };
  };
  const grants: { organization: string; id: string }[] = [];
  const armed = await timed(async () => {
    await inParallel(count, async (n) => {
      const organization = `granting-${n}`;
      for (;;) {
        const answer = await call('POST', `/v1/organizations/${organization}/support-access-grants`, {
          userId: null,
          expiresAt: new Date(Date.now() + 86_400_000).toISOString(),
        });
        if (answer.status === 201) return void grants.push({ organization, id: answer.body.id });
        if (answer.status !== 503) throw new Error(`a grant was answered ${answer.status}`);
      }
    });
  });
  const end = new Date(Date.now() + Math.max(30_000, count * 15));
  await inParallel(count, async (n) => {
    const grant = grants[n];
    if (grant !== undefined)
      await call('PATCH', `/v1/organizations/${grant.organization}/support-access-grants/${grant.id}`, {
        expiresAt: end.toISOString(),
      });
  });
  const lagMs = await decisionLag(stack, grants, end);
  await until(
    async () =>
      (
        await stack.pool.query(
          `select 1 from support_access_grants where organization_id like 'granting-%' and sessions_cleared_at is null limit 1`,
        )
      ).rowCount === 0,
    1_800_000,
    250,
  );
  const cleared = (Date.now() - end.getTime()) / 1_000;
  const engineRate = await yardstick(stack);
  const share = (100 * (count / cleared)) / engineRate;
  return [
    figure('grants', `${count} grants armed`, count / armed, 'grants/s'),
    figure('grants', 'access still allowed after the end, longest', lagMs, 'ms', '= 0', lagMs === 0),
    figure('grants', 'all cleared after', cleared, 's'),
    figure('grants', 'empty workflows on the same server', engineRate, 'workflows/s'),
    figure('grants', "clean-up beside the engine's own rate", share, '%', '>= 50', share >= 50),
  ];
}

/** Asks the check endpoint for random grants around their end; how long after it any was still allowed, by the answer's own clock. */
async function decisionLag(stack: BenchStack, grants: readonly { organization: string }[], end: Date): Promise<number> {
  const token = await stack.issuer.token({ sub: 'gateway', scope: 'support-access:check' });
  let lagMs = 0;
  while (Date.now() < end.getTime() + 3_000) {
    const organizationId = grants[Math.floor(Math.random() * grants.length)]?.organization;
    const asked = Date.now();
    const response = await fetch(`${stack.url}/v1/support-access/check`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ organizationId, userId: 'staff', role: 'global_admin' }),
    });
    const { decision } = (await response.json()) as { decision: string };
    // asked after the end and still allowed: late for certain
    if (decision === 'allow') lagMs = Math.max(lagMs, asked - end.getTime());
  }
  return Math.max(0, lagMs);
}

async function yardstick(stack: BenchStack): Promise<number> {
  const engine = await startEngine(stack.temporalAddress);
  try {
    await engine.runOne();
    return yardstickRuns / (await timed(() => inParallel(yardstickRuns, () => engine.runOne())));
  } finally {
    await engine.stop();
  }
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1_000;
}

async function inParallel(times: number, work: (n: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  await Promise.all(
    Array.from({ length: inFlight }, async () => {
      for (let n = next++; n < times; n = next++) await work(n);
    }),
  );
}
