import { beforeEach, expect, it } from 'vitest';
import { call, eventually } from '../harness/client.ts';
import { useOwnPostgres } from '../harness/own-postgres.ts';
import { useStack } from '../harness/stack.ts';
import { auditOf, listSessions, look, observer, signIn, terminate, untilCompleted } from '../harness/terminations.ts';

const postgres = useOwnPostgres();
// an Auth Module that is held may think about its answer for as long as PostgreSQL is away
const stack = useStack({
  environment: async () => ({ ...(await postgres.environment()), AUTH_MODULE_TIMEOUT_MS: '60000' }),
});
beforeEach(() => stack.authModule.clear());

const count = 1_200;
const firstPage = 500;
const pagesInFlight = 2;
const unanswered = () => stack.authModule.calls.filter(({ status }) => status === null).length;

/** Its first page is in the books; the other two are at the Auth Module, which answers when it is let. */
async function untilMidway(organizationId: string) {
  const sessions = Array.from({ length: count }, (_, n) => `${organizationId}-${n}`);
  await signIn(
    stack,
    ...sessions.map((sessionId) => ({
      organizationId,
      userId: 'grace',
      sessionId,
      chainIds: [`chain-of-${sessionId}`],
    })),
  );
  const answer = Promise.withResolvers<void>();
  let pages = 0;
  stack.authModule.inject({ kind: 'held', until: answer.promise }, { endpoint: 'invalidate', when: () => ++pages > 1 });
  const { body } = await terminate(stack, organizationId, 'users/grace/sessions/terminate');
  await eventually(
    () => look(stack, organizationId, body.id),
    ({ chains }) => chains.confirmed === firstPage && unanswered() === pagesInFlight,
  );
  return { decided: body, letAnswer: answer.resolve };
}

async function expectNothingLostNorDoubled(organizationId: string): Promise<void> {
  expect(stack.authModule.chains.alive(organizationId)).toEqual([]);
  expect(await listSessions(stack, organizationId, 'grace')).toEqual([]);
  const ended = await listSessions(stack, organizationId, 'grace', 'ended');
  expect(new Set(ended.map(({ id }) => id)).size).toBe(count);
  expect(ended.filter(({ endReason }) => endReason !== 'terminated')).toEqual([]);
  const audit = await eventually(
    () => auditOf(stack, organizationId),
    (facts) => facts.every(({ hash }) => hash !== null),
  );
  expect(audit.map(({ action }) => action)).toEqual(['termination.requested', 'termination.completed']);
  expect(audit[1]?.previousHash).toBe(audit[0]?.hash);
}

it('PostgreSQL killed in mid-page, and the answers lost with it: the pages are asked again and counted once', async () => {
  const organizationId = 'answers-lost';
  const { decided, letAnswer } = await untilMidway(organizationId);
  await postgres.kill9();
  const path = `/v1/organizations/${organizationId}/terminations/${decided.id}`;
  const token = await observer(stack, organizationId);
  expect((await call(stack, 'GET', path, { token })).status).toBe(503);
  letAnswer();
  await eventually(
    () => Promise.resolve(unanswered()),
    (left) => left === 0,
  );
  await postgres.start();
  // what died while nobody could write it down is found dead by the repeat
  expect(await untilCompleted(stack, decided, 60_000)).toMatchObject({
    sessions: { total: count, pending: 0 },
    chains: { total: count, confirmed: firstPage, alreadyDead: count - firstPage, pending: 0 },
  });
  await expectNothingLostNorDoubled(organizationId);
});

it('PostgreSQL killed in mid-page, and back before the answers come: they are written down as they are', async () => {
  const organizationId = 'answers-kept';
  const { decided, letAnswer } = await untilMidway(organizationId);
  await postgres.kill9();
  await postgres.start();
  letAnswer();
  expect(await untilCompleted(stack, decided, 60_000)).toMatchObject({
    sessions: { total: count, pending: 0 },
    chains: { total: count, confirmed: count, alreadyDead: 0, pending: 0 },
  });
  await expectNothingLostNorDoubled(organizationId);
});
