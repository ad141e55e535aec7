import { describe, expect, it } from 'vitest';
import { call, eventually, tokens } from '../harness/client.ts';
import { org, useTracedService } from './use-traced-service.ts';
import { foreignTrace } from './use-traces.ts';

const service = useTracedService();

describe('what comes with a request', () => {
  const route = 'GET /v1/organizations/{org}/users/{user}/sessions';
  const requests = () => service.traces.receiver.spans.filter(({ name }) => name === route);

  it.each([
    'nonsense',
    '00-00000000000000000000000000000000-0000000000000000-01',
    `00-${'a'.repeat(32)}-${'b'.repeat(16)}`,
    `ff-${'a'.repeat(32)}-${'b'.repeat(16)}-01`,
    `00-${'A'.repeat(32)}-${'b'.repeat(16)}-01`,
    `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01, 00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`,
    `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01-${'c'.repeat(5_000)}`,
  ])('and is no traceparent changes nothing, and a trace of its own begins: %.60s', async (traceparent) => {
    const before = requests().length;
    const [plain, strange] = [
      await service.ask('GET', 'users/ada/sessions'),
      await service.ask('GET', 'users/ada/sessions', traceparent),
    ];
    expect([strange.status, strange.text]).toEqual([plain.status, plain.text]);
    const seen = await eventually(
      () => Promise.resolve(requests().slice(before)),
      ({ length }) => length === 2,
    );
    for (const span of seen) expect(span.parentSpanId).toBe('');
    expect(seen.map(({ traceId }) => traceId)).not.toContain('a'.repeat(32));
  });

  it('lets nobody in: a refused caller is refused with it as without', async () => {
    const refused = (headers: Record<string, string>) =>
      call(service.api, 'GET', `/v1/organizations/${org}/users/ada/sessions`, {
        token: 'x.y.z',
        headers: { 'x-request-id': 'r', ...headers },
      });
    const [plain, traced] = [await refused({}), await refused({ traceparent: foreignTrace().traceparent })];
    expect([traced.status, traced.text]).toEqual([401, plain.text]);
  });

  it('and asks not to be recorded is handed on and not recorded', async () => {
    const caller = foreignTrace('00');
    await service.terminate('tony', caller.traceparent);
    expect((await service.invalidationOf('tony'))?.traceparent).toMatch(
      new RegExp(`^00-${caller.traceId}-[\\da-f]{16}-00$`),
    );
    // another trace, begun later, has arrived
    const later = foreignTrace();
    await service.terminate('niklaus', later.traceparent);
    await service.traces.trace(later.traceId, 'POST /refresh-chains/invalidate');
    expect(service.traces.receiver.spans.filter(({ traceId }) => traceId === caller.traceId)).toEqual([]);
  });
});

it('what the request could not deliver begins a trace of its own, found by the id of the termination', async () => {
  const cutOff = await service.processes.api({ ...service.traces.environment(), TEMPORAL_ADDRESS: '127.0.0.1:1' });
  const healthy = service.api;
  service.api = cutOff;
  const caller = foreignTrace();
  const terminationId = await service.terminate('donald', caller.traceparent).finally(() => (service.api = healthy));
  const { traceparent = '' } = (await service.invalidationOf('donald')) ?? {};
  const traceId = traceparent.slice(3, 35);
  expect(traceId).not.toBe(caller.traceId);
  const spans = await service.traces.trace(
    traceId,
    'SignalWithStartWorkflow:terminateSessions',
    'RunActivity:endSessions',
  );
  expect(spans['SignalWithStartWorkflow:terminateSessions']).toMatchObject({
    parentSpanId: '',
    service: 'session-management-worker',
    attributes: { 'organization.id': org, 'termination.id': terminationId },
  });
});

it('a stop sends what is left', async () => {
  const slow = await service.processes.api({ ...service.traces.environment(), OTEL_BSP_SCHEDULE_DELAY: '600000' });
  const caller = foreignTrace();
  await call(slow, 'GET', `/v1/organizations/${org}/users/ada/sessions`, {
    token: await tokens(service.processes.issuer).orgAdmin(org),
    headers: { traceparent: caller.traceparent },
  });
  expect(await slow.terminate()).toMatchObject({ code: 0 });
  await service.traces.trace(caller.traceId, 'GET /v1/organizations/{org}/users/{user}/sessions');
});
