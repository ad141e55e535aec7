import { expect, it } from 'vitest';
import { freePort } from '../../local/ports.ts';
import type { TerminationView } from '../../src/rules/termination.ts';
import { call, eventually, tokens } from '../harness/client.ts';
import { signIn, untilCompleted } from '../harness/terminations.ts';
import { type RunningProcess, through, useProcesses } from './use-processes.ts';
import { foreignTrace, useTraces } from './use-traces.ts';

const processes = useProcesses();
const traces = useTraces();
const org = 'untraced';

/** Writes a line for each module of OpenTelemetry's SDK and exporter that is loaded. */
const tellLoaded = `import { registerHooks } from 'node:module';
  registerHooks({ load(url, context, next) {
    if (/@opentelemetry.(?!api|semantic)/.test(url)) process.stderr.write('loaded ' + url + '\\n');
    return next(url, context);
  } });`;
const watched = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(tellLoaded)}` };
const loaded = ({ lines }: RunningProcess) => lines.filter((line) => line.startsWith('loaded '));

async function terminateSomebody(api: RunningProcess, userId: string, traceparent?: string) {
  const stack = through(processes, api);
  await signIn(stack, { organizationId: org, userId, sessionId: `s-${userId}`, chainIds: [`c-${userId}`] });
  const answer = await call<TerminationView>(
    api,
    'POST',
    `/v1/organizations/${org}/users/${userId}/sessions/terminate`,
    {
      token: await tokens(processes.issuer).orgAdmin(org),
      headers: { prefer: 'wait=20', ...(traceparent !== undefined && { traceparent }) },
      body: {},
    },
  );
  expect(answer.status, answer.text).toBeLessThan(300);
  return untilCompleted(stack, answer.body);
}

it('without an endpoint nothing is loaded, sent or logged of a trace, and the Auth Module gets no traceparent', async () => {
  const [api, worker] = await Promise.all([processes.api(watched), processes.worker(watched)]);
  await terminateSomebody(api, 'grace', foreignTrace().traceparent);
  const calls = processes.authModule.calls.filter(({ organizationId }) => organizationId === org);
  expect(calls.length).toBeGreaterThan(0);
  for (const { traceparent } of calls) expect(traceparent).toBeUndefined();
  expect([...loaded(api), ...loaded(worker)]).toEqual([]);
  expect([...api.lines, ...worker.lines].filter((line) => line.includes('trace_id'))).toEqual([]);
  expect(traces.receiver.bodies).toEqual([]);

  // the same watch sees it where it is on
  const traced = await processes.api({ ...watched, ...traces.environment() });
  expect(loaded(traced).length).toBeGreaterThan(0);
  await Promise.all([api.terminate(), worker.terminate(), traced.terminate()]);
});

it('a collector that is away is told once, and neither a request nor a stop waits for it', async () => {
  const away = {
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${await freePort()}`,
    OTEL_BSP_SCHEDULE_DELAY: '50',
    SHUTDOWN_GRACE_SECONDS: '4',
  };
  const [api, worker] = await Promise.all([processes.api(away), processes.worker(away)]);
  const isTold = (line: string) => line.includes('traces cannot be exported');
  for (const user of ['ada', 'alan']) {
    await terminateSomebody(api, user);
    await eventually(() => Promise.resolve([api, worker].every(({ lines }) => lines.some(isTold))), Boolean);
  }
  for (const { lines } of [api, worker]) expect(lines.filter(isTold)).toHaveLength(1);
  for (const process of [api, worker]) {
    const { code, ms } = await process.terminate();
    expect(code).toBe(0);
    expect(ms).toBeLessThan(4_000);
  }
});
