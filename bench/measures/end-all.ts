import { Client, Connection } from '@temporalio/client';
import { residentMiB } from '../memory.ts';
import { figure, type Figure, percentile } from '../report.ts';
import { completed, seedSessions, terminate } from '../sessions.ts';
import type { BenchStack } from '../stack.ts';

const largest = Number(process.env['BENCH_END_ALL'] ?? 100_000);

/** Ends whole organizations of growing size, beside a bare loop that marks and posts the same pages with as many in flight. */
export async function endAll(stack: BenchStack): Promise<Figure[]> {
  const figures: Figure[] = [];
  let ours = 0;
  for (const size of [1_000, 10_000, 100_000].filter((each) => each <= largest)) {
    const organization = `all-${size}`;
    await seedSessions(stack, organization, size);
    await stack.pool.query('analyze');
    const token = await stack.adminToken(organization);
    const idle = size === largest ? await singleTerminations(stack, 'idle', 15) : [];
    const began = performance.now();
    const { termination } = await terminate(
      stack,
      token,
      `/v1/organizations/${organization}/sessions/terminate`,
      'respond-async',
    );
    const ending = completed(stack, token, organization, termination.id, began);
    const beside = size === largest ? await singleTerminations(stack, 'beside', 15) : [];
    const done = await ending;
    if (done.termination.chains.confirmed !== size)
      throw new Error(`not all confirmed: ${JSON.stringify(done.termination)}`);
    ours = size / (done.ms / 1_000);
    figures.push(
      figure('end-all', `${size} sessions: time`, done.ms / 1_000, 's'),
      figure('end-all', `${size} sessions: chains confirmed`, ours, 'chains/s'),
      figure('end-all', `${size} sessions: worker memory`, residentMiB(stack.workerPid()) ?? Number.NaN, 'MiB'),
      figure('end-all', `${size} sessions: history events`, await historyEvents(stack, termination.id), 'events'),
    );
    if (size === largest) {
      const ratio = percentile(beside, 50) / percentile(idle, 50);
      figures.push(
        figure(
          'end-all',
          `another organization's single termination meanwhile, beside idle, p50`,
          ratio,
          'x',
          '<= 1.5',
          ratio <= 1.5,
        ),
      );
    }
  }
  // the largest again, without anybody beside it, for the comparison with the loop
  const alone = await rateAlone(stack, largest);
  const bare = await bareLoop(stack, largest);
  return [
    ...figures,
    figure('end-all', `${largest} sessions alone`, alone, 'chains/s'),
    figure('end-all', `a bare loop, ${largest} sessions`, bare, 'chains/s'),
    figure('end-all', 'share of the bare loop', (100 * alone) / bare, '%', '>= 50', alone / bare >= 0.5),
  ];
}

async function rateAlone(stack: BenchStack, size: number): Promise<number> {
  await seedSessions(stack, 'alone', size);
  await stack.pool.query('analyze');
  const token = await stack.adminToken('alone');
  const began = performance.now();
  const { termination } = await terminate(stack, token, '/v1/organizations/alone/sessions/terminate', 'respond-async');
  return size / ((await completed(stack, token, 'alone', termination.id, began)).ms / 1_000);
}

async function singleTerminations(stack: BenchStack, name: string, times: number): Promise<number[]> {
  const organization = `single-${name}`;
  await seedSessions(stack, organization, times);
  const token = await stack.adminToken(organization);
  const samples: number[] = [];
  for (let n = 0; n < times; n++)
    samples.push(
      (
        await terminate(
          stack,
          token,
          `/v1/organizations/${organization}/sessions/${organization}-session-${n}/terminate`,
          'wait=30',
        )
      ).ms,
    );
  return samples.slice(2);
}

const lanes = 4;

/** The same two things and nothing else: mark a page of 500 in PostgreSQL, post it to the Auth Module, as many in flight. */
async function bareLoop(stack: BenchStack, size: number): Promise<number> {
  await seedSessions(stack, 'bare', size);
  await stack.pool.query('analyze');
  const began = performance.now();
  const lane = async () => {
    for (;;) {
      const { rows } = await stack.pool.query<{ id: string }>(
        `with page as (select id from sessions where organization_id = 'bare' and ended_at is null order by id limit 500 for update skip locked)
          update sessions s set ended_at = current_instant(), end_reason = 'signed-out' from page where s.organization_id = 'bare' and s.id = page.id returning s.id`,
      );
      if (rows.length === 0) return;
      const sessionIds = rows.map((row) => row.id);
      const body = JSON.stringify({
        organizationId: 'bare',
        terminationId: 'bare',
        sessionIds,
        chainIds: sessionIds.map((id) => id.replace('session', 'chain')),
      });
      const response = await fetch(`${stack.authModule.url}/refresh-chains/invalidate`, {
        method: 'POST',
        headers: { authorization: `Bearer ${stack.authModule.token}`, 'content-type': 'application/json' },
        body,
      });
      await response.json();
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return size / ((performance.now() - began) / 1_000);
}

async function historyEvents(stack: BenchStack, terminationId: string): Promise<number> {
  const connection = await Connection.connect({ address: stack.temporalAddress });
  try {
    return (await new Client({ connection }).workflow.getHandle(`termination:${terminationId}`).describe())
      .historyLength;
  } finally {
    await connection.close();
  }
}
