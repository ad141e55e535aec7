import type { BenchStack } from '../stack.ts';
import { figure, type Figure } from '../report.ts';
import { runLoad } from '../load.ts';

const seconds = Number(process.env['BENCH_SECONDS'] ?? 10);

/** The check that gateways ask at each request of a Global Admin: at full rate, then at half of the target. */
export async function checkSupportAccess(stack: BenchStack): Promise<Figure[]> {
  await stack.pool.query(`insert into organizations (id) values ('checked') on conflict do nothing`);
  await stack.pool
    .query(`insert into support_access_grants (organization_id, created_by, created_at, activate_before, starts_at, expires_at, progress_at, next_look_at, dispatch_after)
    select 'checked', '{}', now, now, now, now + interval '1 day', now, now + interval '1 day', now + interval '1 day' from (select current_instant() as now) clock`);
  const token = await stack.issuer.token({ sub: 'gateway', client_id: 'gateway', scope: 'support-access:check' });
  const body = JSON.stringify({ organizationId: 'checked', userId: 'staff', role: 'global_admin' });
  const load = (duration: number, overallRate?: number) =>
    runLoad({
      url: stack.url,
      connections: 10,
      duration,
      ...(overallRate === undefined ? {} : { overallRate }),
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      requests: [{ method: 'POST', path: '/v1/support-access/check', body }],
    });
  await load(2);
  const full = await load(seconds);
  const half = await load(seconds, 2_000);
  const rate = full.requests.average;
  return [
    figure('check', 'answers at full load', rate, 'requests/s', '>= 4000', rate >= 4_000),
    figure('check', 'p99 at 2,000 a second', half.latency.p99, 'ms', '< 10', half.latency.p99 < 10),
  ];
}
