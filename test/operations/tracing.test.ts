import { historyFromJSON, historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { Client, Connection } from '@temporalio/client';
import { Worker } from '@temporalio/worker';
import { describe, expect, inject, it } from 'vitest';
import { traceWorkflows } from '../../src/tracing/temporal.ts';
import { noTracing } from '../../src/tracing/tracing.ts';
import { terminationWorkflowId } from '../../src/workflows/messages.ts';
import { eventually } from '../harness/client.ts';
// oxlint-disable-next-line import/no-unassigned-import -- installs the runtime of this process, which can be done once
import '../harness/stack.ts';
import type { ReceivedSpan } from '../harness/trace-receiver.ts';
import { org, useTracedService } from './use-traced-service.ts';
import { foreignTrace, key } from './use-traces.ts';

const service = useTracedService();
const terminateAll = '/v1/organizations/{org}/users/{user}/sessions/terminate';

describe('one termination', () => {
  const steps = [
    `POST ${terminateAll}`,
    'SignalWithStartWorkflow:terminateSessions',
    'RunWorkflow:terminateSessions',
    'RunActivity:endSessions',
    'POST /refresh-chains/invalidate',
  ];

  it('is one trace: from the caller through request, workflow and activity to the Auth Module, each below the one before', async () => {
    const caller = foreignTrace();
    const terminationId = await service.terminate('grace', caller.traceparent);
    const spans = await service.traces.trace(caller.traceId, ...steps, 'RunActivity:verifyTermination');
    let above = caller.spanId;
    for (const name of steps) {
      const span = spans[name] as ReceivedSpan;
      expect(span.parentSpanId, name).toBe(above);
      expect(span.attributes, name).toMatchObject({ 'organization.id': org, 'termination.id': terminationId });
      expect(span.isError, name).toBe(false);
      above = span.spanId;
    }
    expect(spans[`POST ${terminateAll}`]?.attributes).toMatchObject({
      'http.route': terminateAll,
      'http.response.status_code': 200,
    });
    expect(steps.map((name) => spans[name]?.service)).toEqual([
      ...Array<string>(2).fill('session-management-api'),
      ...Array<string>(3).fill('session-management-worker'),
    ]);
    expect((await service.invalidationOf('grace'))?.traceparent).toBe(`00-${caller.traceId}-${above}-01`);
    expect(service.traces.receiver.headers.every(({ authorization }) => authorization === `Api-Key ${key}`)).toBe(true);
  });

  it('leaves a history that holds nothing of the trace but its ids, and is replayed without it', async () => {
    const caller = foreignTrace();
    const terminationId = await service.terminate('edsger', caller.traceparent);
    await service.traces.trace(caller.traceId, 'RunActivity:verifyTermination');
    const connection = await Connection.connect({ address: inject('temporalAddress') });
    const handle = new Client({ connection }).workflow.getHandle(terminationWorkflowId(terminationId));
    await handle.result();
    const text = historyToJSON(await handle.fetchHistory());
    await connection.close();
    const carried = [...text.matchAll(/"_tracer-data":\s*\{[^}]*\}[^}]*"data":\s*"([^"]+)"/g)].map(
      ([, data = '']) => JSON.parse(Buffer.from(data, 'base64').toString()) as object,
    );
    expect(carried.length).toBeGreaterThan(2);
    for (const carrier of carried)
      expect(carrier).toEqual({ traceparent: expect.stringContaining(caller.traceId) as string, organizationId: org });
    // as it is, and as if it had been started where tracing is off
    for (const history of [text, text.replaceAll('"_tracer-data"', '"other"')])
      await Worker.runReplayHistory(
        {
          workflowBundle: { codePath: inject('workflowBundlePath') },
          replayName: 'traced',
          sinks: traceWorkflows(noTracing),
        },
        historyFromJSON(JSON.parse(history) as object),
        terminationWorkflowId(terminationId),
      );
  });

  it('is found in the log by its trace', async () => {
    const caller = foreignTrace();
    await service.terminate('barbara', caller.traceparent);
    // the answer may overtake the line
    const lines = await eventually(
      () =>
        Promise.resolve(
          service.api.lines
            .map((line) => JSON.parse(line) as Record<string, unknown>)
            .filter((line) => line['trace_id'] === caller.traceId),
        ),
      (found) => found.length > 0,
    );
    expect(lines).toMatchObject([
      { msg: 'request', route: terminateAll, span_id: expect.stringMatching(/^[\da-f]{16}$/) as string },
    ]);
  });

  it('that the Auth Module fails shows where, by the class of the failure', async () => {
    const caller = foreignTrace();
    const heal = service.processes.authModule.inject({ kind: 'status', status: 503 }, { times: 1 });
    await service.terminate('alan', caller.traceparent);
    heal();
    const failed = await eventually(
      () => Promise.resolve(service.traces.receiver.spans.find((s) => s.traceId === caller.traceId && s.isError)),
      Boolean,
    );
    expect(failed?.attributes).toMatchObject({ 'error.type': 'server-error', 'http.response.status_code': 503 });
  });
});

it('a grant is one trace, from the request to its activation', async () => {
  const caller = foreignTrace();
  const expiresAt = new Date(Date.now() + 3_600_000).toISOString();
  const answer = await service.ask('POST', 'support-access-grants', caller.traceparent, { userId: null, expiresAt });
  expect(answer.status, answer.text).toBe(201);
  const spans = await service.traces.trace(
    caller.traceId,
    'POST /v1/organizations/{org}/support-access-grants',
    'UpdateWithStartWorkflow:supportAccessGrant',
    'RunWorkflow:supportAccessGrant',
    'RunActivity:activateGrant',
  );
  const ids = { 'organization.id': org, 'support_access_grant.id': answer.body['id'] };
  for (const span of Object.values(spans)) expect(span.attributes, span.name).toMatchObject(ids);
});
