import { expect, it } from 'vitest';
import { eventually } from '../harness/client.ts';
import { startProcess } from '../harness/service-process.ts';
import { useStack } from '../harness/stack.ts';
import { auditOf, listSessions, look, signIn, terminate, untilCompleted } from '../harness/terminations.ts';

// one call at a time, so that a termination can be interrupted between two of its pages
const stack = useStack({
  worker: false,
  environment: { AUTH_MODULE_CONCURRENCY: '1', AUTH_MODULE_TIMEOUT_MS: '5000' },
});

it('a worker killed in the middle of 2,000 sessions loses nothing and doubles nothing; the next one goes on', async () => {
  const organizationId = 'killed-worker';
  await signIn(
    stack,
    ...Array.from({ length: 2_000 }, (_, n) => ({
      organizationId,
      userId: 'grace',
      sessionId: `s${n}`,
      chainIds: [`c${n}`],
    })),
  );
  // the first page is confirmed, the others hang: whenever the worker is killed, it is in the middle
  let pages = 0;
  const unhang = stack.authModule.inject({ kind: 'hang' }, { endpoint: 'invalidate', when: () => ++pages > 1 });
  const decided = await terminate(stack, organizationId, 'users/grace/sessions/terminate', { prefer: 'wait=1' });
  expect(decided.status).toBe(202);
  expect(await listSessions(stack, organizationId, 'grace')).toEqual([]);

  const first = await startProcess('worker.ts', stack.environment);
  const midway = await eventually(
    () => look(stack, organizationId, decided.body.id),
    ({ chains }) => chains.confirmed > 0,
    60_000,
  );
  expect(midway.status).toBe('running');
  await first.kill9();
  expect(stack.authModule.chains.alive(organizationId).length).toBeGreaterThan(0);

  unhang();
  await startProcess('worker.ts', stack.environment);
  const completed = await untilCompleted(stack, decided.body, 90_000);
  expect(completed).toMatchObject({ sessions: { total: 2_000, pending: 0 }, chains: { total: 2_000, pending: 0 } });
  expect(stack.authModule.chains.alive(organizationId)).toEqual([]);
  expect((await auditOf(stack, organizationId)).map(({ action }) => action)).toEqual([
    'termination.requested',
    'termination.completed',
  ]);
}, 240_000);
