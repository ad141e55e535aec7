import { expect, it } from 'vitest';
import { call, eventually, tokens } from '../harness/client.ts';
import { signIn, terminate, untilCompleted } from '../harness/terminations.ts';
import { through, useProcesses } from './use-processes.ts';

const graceSeconds = 6;
const processes = useProcesses({ SHUTDOWN_GRACE_SECONDS: String(graceSeconds), AUTH_MODULE_TIMEOUT_MS: '60000' });
const org = 'draining';
const refused = (url: string) =>
  fetch(`${url}/healthz`).then(
    () => false,
    () => true,
  );

it('an API that is told to stop answers what it has accepted, ends its streams, accepts nothing more and exits 0 within the grace', async () => {
  const api = await processes.api();
  const worker = await processes.worker();
  const stack = through(processes, api);
  await signIn(stack, { organizationId: org, userId: 'grace', sessionId: 'one', chainIds: ['c1'] });
  const heal = processes.authModule.inject({ kind: 'slow', latencyMs: 2_000 });
  const inFlight = terminate(stack, org, 'sessions/one/terminate', { prefer: 'wait=9' });
  await eventually(
    () => Promise.resolve(processes.authModule.calls.length),
    (calls) => calls > 0,
  );
  const token = await tokens(processes.issuer).orgAdmin(org, { sid: 'another' });
  const { body } = await call<{ items: { id: string }[] }>(api, 'GET', `/v1/organizations/${org}/terminations`, {
    token,
  });
  const stream = await fetch(`${api.url}/v1/organizations/${org}/terminations/${body.items[0]?.id}/events`, {
    headers: { authorization: `Bearer ${token}` },
  });
  expect(stream.status).toBe(200);
  const streamed = stream.text();
  const ended = api.terminate();
  await eventually(() => refused(api.url), Boolean, 2_000);
  // nobody is kept waiting by a process that stops: the decision stands, and another process shows its end
  expect((await inFlight).status).toBe(202);
  expect(await streamed).toContain('event: termination');
  const { code, signal, ms } = await ended;
  expect({ code, signal }).toEqual({ code: 0, signal: null });
  expect(ms).toBeLessThan(graceSeconds * 1_000 + 500);
  heal();
  expect((await worker.terminate()).code).toBe(0);
});

it('a worker in the midst of a call that hangs exits 0 within the grace, and the next worker completes what it left', async () => {
  const [api, first] = [await processes.api(), await processes.worker()];
  const stack = through(processes, api);
  await signIn(stack, { organizationId: org, userId: 'ada', sessionId: 'two', chainIds: ['c2'] });
  processes.authModule.clear();
  const heal = processes.authModule.inject({ kind: 'hang' });
  const { body } = await terminate(stack, org, 'sessions/two/terminate');
  await eventually(
    () => Promise.resolve(processes.authModule.calls.length),
    (calls) => calls > 0,
  );
  const { code, ms } = await first.terminate();
  expect(code, first.lines.join('\n')).toBe(0);
  expect(ms).toBeLessThan(graceSeconds * 1_000 + 500);
  heal();
  const second = await processes.worker();
  const completed = await untilCompleted(stack, body, 60_000);
  expect(completed.chains).toEqual({ total: 1, confirmed: 1, alreadyDead: 0, pending: 0 });
  expect((await second.terminate()).code).toBe(0);
  expect((await api.terminate()).code).toBe(0);
});
