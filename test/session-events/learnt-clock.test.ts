import { randomUUID } from 'node:crypto';
import { expect, it } from 'vitest';
import { call, eventually } from '../harness/client.ts';
import { report, started } from '../harness/events.ts';
import { useStack } from '../harness/stack.ts';
import { terminate } from '../harness/terminations.ts';

const stack = useStack();
const MINUTE = 60_000;
let moved = 0;
const moveClock = async (ms: number) => {
  moved += ms;
  await stack.database.moveClock(ms);
};
const ahead = (ms: number) => new Date(Date.now() + moved + ms).toISOString();
const accepted = () =>
  started({ organizationId: 'sender', userId: 'sam', sessionId: randomUUID(), startedAt: ahead(0) });

/** By how far searches reach into the future, in milliseconds: the shift that is learnt. */
async function searchesShiftedBy(): Promise<number> {
  const org = randomUUID();
  const { body } = await terminate(stack, org, 'users/dan/sessions/terminate', { prefer: 'wait=10' });
  const search = stack.authModule.calls.find((each) => each.endpoint === 'search' && each.organizationId === org);
  if (search === undefined) throw new Error(`nothing was searched in ${org}`);
  const { sessionStartedAtOrBefore } = search.body as { sessionStartedAtOrBefore: string };
  return Date.parse(sessionStartedAtOrBefore) - Date.parse(body.cutoff);
}

/** Who signed in two seconds after a fence of their own. */
async function signedInAfterTheFence(): Promise<() => Promise<number>> {
  const org = randomUUID();
  const { body } = await terminate(stack, org, 'users/carol/sessions/terminate', { prefer: 'wait=10' });
  const began = Math.ceil(Date.parse(body.cutoff) / 1_000) + 2;
  const token = await stack.issuer.token({
    sub: 'carol',
    roles: ['org_admin'],
    org_id: org,
    sid: 'home',
    auth_time: began,
  });
  return async () => (await call(stack, 'GET', `/v1/organizations/${org}/users/x/sessions`, { token })).status;
}

it.each([
  { what: 'thirty days ahead, with an accepted event', sentAt: 30 * 1_440 * MINUTE, events: () => [accepted()] },
  {
    what: 'just over five minutes ahead, with an accepted event',
    sentAt: 5 * MINUTE + 2_000,
    events: () => [accepted()],
  },
  { what: 'four minutes ahead, without an accepted event', sentAt: 4 * MINUTE, events: () => [{ nonsense: true }] },
])('a clock that says that it is $what shifts nothing', async ({ sentAt, events }) => {
  const carol = await signedInAfterTheFence();
  await report(stack, events(), { sentAt: ahead(sentAt) });
  expect(await searchesShiftedBy()).toBe(0);
  expect(await carol()).toBe(200);
});

it('a lead is learnt from an accepted event, falls back by itself, and a smaller one counts then', async () => {
  const carol = await signedInAfterTheFence();
  await report(stack, [accepted()], { sentAt: ahead(4 * MINUTE) });
  const learnt = await searchesShiftedBy();
  expect(learnt).toBeGreaterThan(3.9 * MINUTE);
  expect(learnt).toBeLessThanOrEqual(4 * MINUTE);
  expect(await carol()).toBe(401);
  // the largest counts, not the last
  await report(stack, [accepted()], { sentAt: ahead(30_000) });
  expect(await searchesShiftedBy()).toBe(learnt);

  await moveClock(6 * MINUTE);
  await report(stack, [accepted()], { sentAt: ahead(30_000) });
  expect(await searchesShiftedBy()).toBe(learnt);
  await moveClock(5.5 * MINUTE);
  // the lead of five minutes ago has stayed: it is the largest now
  const smaller = await searchesShiftedBy();
  expect(smaller).toBeGreaterThan(20_000);
  expect(smaller).toBeLessThanOrEqual(30_000);
  await moveClock(11 * MINUTE);
  expect(await searchesShiftedBy()).toBe(0);
  expect(await carol()).toBe(200);
});

it('the gauge falls back too, and knows the clocks of single organizations', async () => {
  const token = await stack.issuer.token({
    sub: 'machine',
    client_id: 'machine',
    scope: 'sessions:ingest',
    org_id: 'sender',
  });
  const body = { events: [accepted()], sentAt: ahead(2 * MINUTE) };
  expect((await call(stack, 'POST', '/v1/session-events', { token, body })).status).toBe(200);
  const gauge = async () => {
    const page = await (await fetch(`${stack.url}/metrics`)).text();
    return Number(/^session_management_auth_module_clock_ahead_seconds ([\d.e+-]+)$/m.exec(page)?.[1]);
  };
  // figures of what is open are read again after a while
  await eventually(gauge, (seconds) => seconds > 100);
  await moveClock(11 * MINUTE);
  await eventually(gauge, (seconds) => seconds === 0);
});
