import { randomUUID } from 'node:crypto';
import type { Client } from '@temporalio/client';
import { NativeConnection, Worker } from '@temporalio/worker';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { buildWorkerDependencies } from '../../src/dependencies.ts';
import { changed, terminateSessionsWorkflow, terminationWorkflowId } from '../../src/workflows/messages.ts';
import { eventually } from '../harness/client.ts';
import { useStack } from '../harness/stack.ts';
import { useOwnTemporal } from '../harness/temporal-server.ts';
import { delaysIn, look, signIn, terminate } from '../harness/terminations.ts';
import { skippingClient } from '../harness/time-skipping.ts';

// Continue-as-new is suggested after so few events that a test sees it.
const settings = [
  'frontend.WorkflowTimeSkippingEnabled=true',
  'history.timerProcessorMaxTimeShift="20ms"',
  'limit.historyCount.suggestContinueAsNew=60',
];
const temporal = useOwnTemporal(settings.flatMap((value) => ['--dynamic-config-value', value]));
// No worker, so no dispatcher: what is decided is delivered by the test, to a workflow whose timers do not wait.
const stack = useStack({ worker: false, environment: () => temporal.environment() });
const taskQueue = randomUUID();
let client: Client;
const closers: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  const dependencies = await buildWorkerDependencies(stack.config, pino({ level: 'silent' }));
  const connection = await NativeConnection.connect({ address: stack.config.temporal.address });
  const worker = await Worker.create({
    connection,
    taskQueue,
    workflowBundle: { codePath: inject('workflowBundlePath') },
    activities: dependencies.activities,
  });
  const ran = worker.run();
  client = await skippingClient(stack.config.temporal.address, 'at-once');
  closers.push(
    () => dependencies.close(),
    () => connection.close(),
    () => (worker.shutdown(), ran),
    () => client.connection.close(),
  );
});
afterAll(async () => {
  for (const close of closers.toReversed()) await close();
});

/** Decides, and starts the workflow; resolves with every run's timers, in seconds, once the last run has ended. */
async function run(organizationId: string): Promise<{ id: string; delays: number[]; runs: number }> {
  await signIn(stack, { organizationId, userId: 'grace', sessionId: 's1', chainIds: ['c1'] });
  const { body } = await terminate(stack, organizationId, 'sessions/s1/terminate');
  const workflowId = terminationWorkflowId(body.id);
  const handle = await client.workflow.signalWithStart(terminateSessionsWorkflow, {
    workflowId,
    taskQueue,
    signal: changed,
    args: [{ terminationId: body.id }],
  });
  await eventually(
    () => look(stack, organizationId, body.id),
    ({ verifiedAt }) => verifiedAt !== null,
    50_000,
  );
  await eventually(
    () => handle.describe(),
    ({ status }) => status.name === 'COMPLETED',
  );
  const delays: number[] = [];
  let runId: string | null | undefined = handle.signaledRunId;
  let runs = 0;
  while (runId) {
    const history = await client.workflow.getHandle(workflowId, runId).fetchHistory();
    delays.push(...delaysIn(history));
    runs += 1;
    runId = history.events?.at(-1)?.workflowExecutionContinuedAsNewEventAttributes?.newExecutionRunId;
  }
  return { id: body.id, delays, runs };
}

it('asks again 60 s after completion and once the access tokens of 300 s are dead, then ends', async () => {
  const { delays, runs } = await run('verified');
  expect(runs).toBe(1);
  expect(delays).toHaveLength(2);
  expect(delays[0]).toBeCloseTo(60, 0);
  expect((delays[0] ?? 0) + (delays[1] ?? 0)).toBeCloseTo(300, 0);
});

it('an Auth Module that is away for hours is retried quickly, then patiently, without end and with a bounded history', async () => {
  stack.authModule.inject(
    { kind: 'status', status: 429 },
    { times: 40, when: ({ organizationId }) => organizationId === 'hours' },
  );
  const { id, delays, runs } = await run('hours');
  const retries = delays.slice(0, 40);
  expect(delays).toHaveLength(42);
  const [quick, patient] = [retries.slice(0, 7), retries.slice(7)];
  quick.forEach((seconds, n) => expect(seconds).toBeGreaterThanOrEqual(Math.min(0.5 * 2 ** n, 20) * 0.75 - 0.001));
  expect(Math.max(...quick)).toBeLessThanOrEqual(20);
  expect(Math.min(...patient)).toBeGreaterThanOrEqual(60);
  expect(Math.max(...patient)).toBeLessThanOrEqual(300);
  expect(new Set(patient).size).toBeGreaterThan(25);
  expect(runs).toBeGreaterThan(2);
  expect(await look(stack, 'hours', id)).toMatchObject({
    status: 'completed',
    lastErrorClass: 'throttled',
    chains: { total: 1, confirmed: 1 },
  });
});

it('a refusal, which only a changed configuration mends, is retried patiently from the first', async () => {
  stack.authModule.inject(
    { kind: 'status', status: 403 },
    { times: 3, when: ({ organizationId }) => organizationId === 'refused' },
  );
  const { delays } = await run('refused');
  expect(Math.min(...delays.slice(0, 3))).toBeGreaterThanOrEqual(60);
});

it('a chain that comes back at every verification keeps it running, with a bounded history, until it stays dead', async () => {
  stack.authModule.inject(
    { kind: 'resurrect', chainIds: ['c1'] },
    { times: 30, endpoint: 'search', when: ({ organizationId }) => organizationId === 'undead' },
  );
  const { id, runs } = await run('undead');
  expect(runs).toBeGreaterThan(1);
  expect(await look(stack, 'undead', id)).toMatchObject({ status: 'completed', chains: { total: 1, confirmed: 1 } });
  expect(stack.authModule.chains.alive('undead')).toEqual([]);
});
