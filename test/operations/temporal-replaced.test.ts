import { Connection } from '@temporalio/client';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { searchAttributeNames } from '../../src/workflows/messages.ts';
import { call, eventually, tokens } from '../harness/client.ts';
import { useOwnTemporal } from '../harness/temporal-server.ts';
import { signIn, terminate, untilCompleted } from '../harness/terminations.ts';
import { inMs, minutes, useGrants } from '../support-access/use-grants.ts';
import { type RunningProcess, through, useProcesses } from './use-processes.ts';

const temporal = useOwnTemporal();
let TEMPORAL_ADDRESS = '';
beforeAll(async () => void ({ TEMPORAL_ADDRESS } = await temporal.environment()));
const processes = useProcesses({ LOG_LEVEL: 'info', VERIFY_AFTER_SECONDS: '1', ACCESS_TOKEN_TTL_SECONDS: '1' });
let connection: Connection | undefined;
afterAll(() => connection?.close());

interface WorkerPage {
  status: string;
  namespace: { status: string };
  taskQueue: { status: string; detail?: string };
  searchAttributes: { status: string; detail?: string };
}
const readyPage = async (worker: RunningProcess) => {
  const response = await fetch(`${worker.url}/readyz`);
  return { status: response.status, body: (await response.json()) as WorkerPage };
};
const attributesIn = async (namespace: string): Promise<string[]> => {
  connection ??= Connection.lazy({ address: TEMPORAL_ADDRESS });
  const known = await connection
    .withDeadline(
      Date.now() + 2_000,
      () => connection?.operatorService.listSearchAttributes({ namespace }) ?? expect.unreachable(),
    )
    .catch(() => undefined);
  return Object.keys(known?.customAttributes ?? {});
};
const ours = Object.values(searchAttributeNames);
const up = { status: 'up' };

it.each([
  { what: 'a Temporal that was replaced by an empty one', namespace: 'default', replacedBy: ['default'] },
  { what: 'a Temporal that lost the namespace too', namespace: 'sessions', replacedBy: ['default'] },
])(
  '$what is set up again by those who run: grants are given, what was decided is done',
  { timeout: 180_000 },
  async ({ namespace, replacedBy }) => {
    await temporal.replace([namespace]);
    const environment = { TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE: namespace };
    const [api, worker] = await Promise.all([processes.api(environment), processes.worker(environment)]);
    const stack = through(processes, api);
    const grants = useGrants(stack, { worker: false });
    const [organization, other] = [`replaced-${namespace}`, `afterwards-${namespace}`];
    const ended = await grants.create(organization);
    await grants.signIn(ended, 'visit');
    await signIn(stack, { organizationId: organization, userId: 'grace', sessionId: 's1', chainIds: ['c1'] });
    // a chain that does not die while this Temporal lives
    const heal = processes.authModule.inject({ kind: 'status', status: 503 });
    const { body: termination } = await terminate(stack, organization, 'users/grace/sessions/terminate');
    expect(await readyPage(worker)).toEqual({
      status: 200,
      body: { status: 'ready', namespace: up, taskQueue: up, searchAttributes: up },
    });

    await temporal.replace(replacedBy);
    expect(await attributesIn(namespace)).toEqual([]);
    heal();
    await grants.revoke(ended);

    const expiresAt = inMs(minutes(60));
    const given = await eventually(
      () => grants.ask('POST', other, 'support-access-grants', { userId: null, expiresAt }),
      ({ status }) => status === 201,
      60_000,
    );
    expect(given.body.status).toBe('active');
    await grants.until(ended, 'ended', 120_000);
    await untilCompleted(stack, termination, 120_000);
    await eventually(
      () => attributesIn(namespace),
      (names) => ours.every((name) => names.includes(name)),
      30_000,
    );
    await eventually(
      () => readyPage(worker),
      ({ status, body }) => status === 200 && body.status === 'ready',
      30_000,
    );
    for (const process of [api, worker]) expect((await process.terminate()).code).toBe(0);
  },
);

it(
  'a Temporal that is away is told of by its class, once a minute, and counted each time',
  { timeout: 120_000 },
  async () => {
    const api = await processes.api({ TEMPORAL_ADDRESS: '127.0.0.1:9' });
    const stack = through(processes, api);
    const token = await tokens(stack.issuer).orgAdmin('away');
    const ask = () =>
      call(stack, 'POST', '/v1/organizations/away/support-access-grants', {
        token,
        body: { userId: null, expiresAt: inMs(minutes(60)) },
      });
    for (let time = 0; time < 3; time++) expect((await ask()).status).toBe(503);
    const told = api.lines.filter((line) => line.includes('a grant could not be started'));
    expect(told).toHaveLength(1);
    expect(JSON.parse(told[0] ?? '')).toMatchObject({ class: 'unavailable', organizationId: 'away' });
    const page = await (await fetch(`${api.url}/metrics`)).text();
    expect(page).toContain('session_management_workflow_engine_failures_total{call="start",class="unavailable"} 3');
  },
);
