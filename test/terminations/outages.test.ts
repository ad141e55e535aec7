import { beforeEach, expect, it } from 'vitest';
import { terminationWorkflowId } from '../../src/workflows/messages.ts';
import { call, eventually, tokens } from '../harness/client.ts';
import { startProcess } from '../harness/service-process.ts';
import { useStack } from '../harness/stack.ts';
import { useOwnTemporal } from '../harness/temporal-server.ts';
import {
  auditOf,
  historyOf,
  listSessions,
  look,
  observer,
  signIn,
  terminate,
  untilCompleted,
  untilVerified,
} from '../harness/terminations.ts';
import type { TerminationView } from '../../src/rules/termination.ts';

const temporal = useOwnTemporal();
const stack = useStack({ environment: () => temporal.environment() });
beforeEach(() => stack.authModule.clear());

/** With room for a machine that does much else; far less than the wait that was asked for. */
const ABOUT_A_SECOND_MS = 4_000;
const people = (organizationId: string, count: number) =>
  Array.from({ length: count }, (_, n) => ({
    organizationId,
    userId: `u${n % 9}`,
    sessionId: `s${n}`,
    chainIds: [`c${n}`],
  }));
const facts = async (organizationId: string) => (await auditOf(stack, organizationId)).map(({ action }) => action);

it('with Temporal stopped, ending is decided at once, in about a second, and becomes true by itself when it is back', async () => {
  const organizationId = 'stopped';
  await signIn(stack, ...people(organizationId, 9));
  await temporal.stop();
  const began = performance.now();
  const one = await terminate(stack, organizationId, 'sessions/s0/terminate', { prefer: 'wait=9' });
  const all = await terminate(stack, organizationId, 'sessions/terminate', { prefer: 'wait=9' });
  expect([one.status, all.status]).toEqual([202, 202]);
  expect(one.headers.get('location')).toBe(`/v1/organizations/${organizationId}/terminations/${one.body.id}`);
  expect(performance.now() - began).toBeLessThan(2 * ABOUT_A_SECOND_MS);
  expect(await listSessions(stack, organizationId, 'u0')).toEqual([]);
  expect(stack.authModule.chains.alive(organizationId)).toHaveLength(9);
  await temporal.start();
  await untilCompleted(stack, one.body, 60_000);
  await untilCompleted(stack, all.body, 60_000);
  expect(stack.authModule.chains.alive(organizationId)).toEqual([]);
  expect((await facts(organizationId)).toSorted()).toEqual([
    'termination.completed',
    'termination.completed',
    'termination.requested',
    'termination.requested',
  ]);
});

it('a termination that Temporal’s sudden death interrupts completes after its return, counted exactly', async () => {
  const organizationId = 'died';
  await signIn(stack, ...people(organizationId, 1_200));
  stack.authModule.inject({ kind: 'slow', latencyMs: 400 });
  const { body } = await terminate(stack, organizationId, 'sessions/terminate');
  await eventually(
    () => Promise.resolve(stack.authModule.calls.length),
    (calls) => calls > 0,
  );
  await temporal.kill9();
  await temporal.start();
  const completed = await untilCompleted(stack, body, 90_000);
  expect(completed).toMatchObject({ sessions: { total: 1_200 }, chains: { total: 1_200, pending: 0 } });
  expect(stack.authModule.chains.alive(organizationId)).toEqual([]);
  expect(await facts(organizationId)).toEqual(['termination.requested', 'termination.completed']);
}, 120_000);

it('an API that dies between its decision and the start leaves nothing undone', async () => {
  const organizationId = 'killed-api';
  await signIn(stack, ...people(organizationId, 2));
  const api = await startProcess('api.ts', stack.environment);
  const url = `http://127.0.0.1:${/"port":(\d+)/.exec(api.output())?.[1]}`;
  const token = await tokens(stack.issuer).orgAdmin(organizationId);
  temporal.pause();
  try {
    const request = call({ url }, 'POST', `/v1/organizations/${organizationId}/sessions/terminate`, {
      token,
      body: {},
      headers: { prefer: 'wait=30' },
    }).catch((error: unknown) => error);
    const undelivered = `select 1 from terminations where organization_id = $1 and delivered_revision = 0`;
    await eventually(
      () => stack.database.query(undelivered, [organizationId]),
      (rows) => rows.length === 1,
    );
    await api.kill9();
    expect(await request).toBeInstanceOf(TypeError);
    expect(await listSessions(stack, organizationId, 'u0')).toEqual([]);
  } finally {
    temporal.resume();
  }
  const token2 = await observer(stack, organizationId);
  const list = await call<{ items: TerminationView[] }>(
    stack,
    'GET',
    `/v1/organizations/${organizationId}/terminations`,
    { token: token2 },
  );
  expect(list.body.items).toHaveLength(1);
  for (const termination of list.body.items) await untilCompleted(stack, termination, 60_000);
  expect(stack.authModule.chains.alive(organizationId)).toEqual([]);
});

it('a workflow that somebody terminates by hand is started again, while it waits and while it verifies', async () => {
  const organizationId = 'by-hand';
  await signIn(stack, ...people(organizationId, 2));
  const mend = stack.authModule.inject({ kind: 'status', status: 401 });
  const { body } = await terminate(stack, organizationId, 'sessions/terminate');
  await eventually(
    () => look(stack, organizationId, body.id),
    ({ lastErrorClass }) => lastErrorClass === 'unauthorized',
  );
  const handle = stack.temporal.workflow.getHandle(terminationWorkflowId(body.id));
  await eventually(
    () => historyOf(stack, body.id),
    ({ history }) => history.events?.some((event) => event.timerStartedEventAttributes != null) === true,
  );
  await handle.terminate('by hand');
  mend();
  // past the patient delay of 5 minutes at most, and the minute of silence after it
  await stack.database.moveClock(7 * 60_000);
  await untilCompleted(stack, body);
  await eventually(
    () => handle.describe(),
    ({ status }) => status.name === 'RUNNING',
  );
  await handle.terminate('by hand');
  await stack.database.moveClock(7 * 60_000);
  await untilVerified(stack, body);
  expect(await facts(organizationId)).toEqual(['termination.requested', 'termination.completed']);
});

it('a termination that was decided while the Auth Module was down completes by itself once it is up', async () => {
  const organizationId = 'auth-module-down';
  await signIn(stack, ...people(organizationId, 3));
  await stack.authModule.stop();
  const { status, body } = await terminate(stack, organizationId, 'sessions/terminate', { prefer: 'wait=1' });
  expect(status).toBe(202);
  await eventually(
    () => look(stack, organizationId, body.id),
    ({ attempts }) => attempts >= 3,
  );
  await stack.authModule.restart();
  expect(await untilCompleted(stack, body)).toMatchObject({ chains: { total: 3, confirmed: 3 } });
});
