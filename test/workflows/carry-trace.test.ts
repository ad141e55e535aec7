import { randomUUID } from 'node:crypto';
import { Client } from '@temporalio/client';
import { defaultPayloadConverter, type Headers } from '@temporalio/common';
import { NativeConnection, Worker } from '@temporalio/worker';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { nothingLeft, type PassResult } from '../../src/activities/termination/pass-result.ts';
import { changed, terminateSessionsWorkflow, terminationWorkflowId } from '../../src/workflows/messages.ts';
import { readTraceHeader, type TraceCarrier, workflowSpanId } from '../../src/workflows/trace-header.ts';
// oxlint-disable-next-line import/no-unassigned-import -- installs the runtime of this process, which can be done once
import '../harness/stack.ts';
import { skippingClient } from '../harness/time-skipping.ts';

const HOUR_MS = 3_600_000;
const taskQueue = randomUUID();
const traceId = 'a'.repeat(32);
const caller = { traceparent: `00-${traceId}-${'b'.repeat(16)}-01`, organizationId: 'acme' };
const pass = { ...nothingLeft, pendingSessions: 1 };
const waiting = (lookAgainInMs: number) => ({ ...pass, outcome: 'pending', lookAgainInMs });

let client: Client;
/** What the next passes come to. */
let script: object[] = [];
/** What each pass was given along. */
let carried: (TraceCarrier | undefined)[] = [];
let entered: TraceCarrier[] = [];
const closers: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  const connection = await NativeConnection.connect({ address: inject('temporalAddress') });
  const worker = await Worker.create({
    connection,
    taskQueue,
    workflowBundle: { codePath: inject('workflowBundlePath') },
    activities: {
      endSessions: () => Promise.resolve((script.shift() ?? { ...pass, outcome: 'completed' }) as PassResult),
    },
    interceptors: {
      activity: [
        () => ({ inbound: { execute: (input, next) => (carried.push(readTraceHeader(input.headers)), next(input)) } }),
      ],
    },
    sinks: { tracing: { entered: { fn: (_, from: TraceCarrier) => void entered.push(from) } } },
  });
  const ran = worker.run();
  client = await skippingClient(inject('temporalAddress'), 'at-once');
  closers.push(
    () => connection.close(),
    () => (worker.shutdown(), ran),
    () => client.connection.close(),
  );
});
afterAll(async () => {
  for (const close of closers.toReversed()) await close();
});

/** Runs a termination whose passes come to this, started with this header; timers do not wait. Resolves with its run id. */
async function run(header: unknown, ...passes: object[]): Promise<string> {
  [script, carried, entered] = [passes, [], []];
  const headers: Headers = header === undefined ? {} : { '_tracer-data': defaultPayloadConverter.toPayload(header) };
  const { connection } = client;
  const interceptors = {
    workflow: [
      { signalWithStart: (input: object, next: (i: never) => unknown) => next({ ...input, headers } as never) },
    ],
  } as never;
  const terminationId = randomUUID();
  const handle = await new Client({ connection, interceptors }).workflow.signalWithStart(terminateSessionsWorkflow, {
    workflowId: terminationWorkflowId(terminationId),
    taskQueue,
    signal: changed,
    args: [{ terminationId }],
  });
  await handle.result();
  return handle.signaledRunId;
}

it('each attempt belongs to the trace of who asked, below the run, for an hour; after that it is only of the organization', async () => {
  const runId = await run(caller, waiting(HOUR_MS / 2), waiting(HOUR_MS), waiting(HOUR_MS));
  const inTrace = { traceparent: `00-${traceId}-${workflowSpanId(runId)}-01`, organizationId: 'acme' };
  expect(carried).toEqual([inTrace, inTrace, { organizationId: 'acme' }, { organizationId: 'acme' }]);
  // by the start and by the signal that came with it
  expect(entered).toEqual([caller]);
});

it('without a trace nothing is carried', async () => {
  await run(undefined, waiting(1_000));
  expect(carried).toEqual([undefined, undefined]);
  expect(entered).toEqual([]);
});

it.each(['text', null, 7, [], {}, { traceparent: 7 }, { traceparent: `${caller.traceparent}-more` }])(
  'a header that is nonsense harms no workflow: %j',
  async (header) => {
    await run(header, waiting(1_000));
    expect(carried.map((carrier) => carrier?.traceparent)).toEqual([undefined, undefined]);
    expect(entered).toEqual([]);
  },
);
