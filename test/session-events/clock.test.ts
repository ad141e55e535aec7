import { expect, it } from 'vitest';
import { call, eventually, tokens } from '../harness/client.ts';
import { event, report, started } from '../harness/events.ts';
import { useStack } from '../harness/stack.ts';
import { listSessions, terminate, untilCompleted } from '../harness/terminations.ts';

const stack = useStack({ environment: { VERIFY_AFTER_SECONDS: '1', ACCESS_TOKEN_TTL_SECONDS: '2' } });
const later = (instant: string, ms: number) => new Date(Date.parse(instant) + ms).toISOString();
const now = () => new Date().toISOString();

/** A sign-in at the true instant `at`, at an Auth Module whose clock differs by `skewMs`; what its `sentAt` says. */
function signInAt(organizationId: string, id: string, at: string, skewMs: number): object {
  const own = { organizationId, userId: 'grace', sessionId: id, chainId: id };
  stack.authModule.chains.add({ ...own, sessionStartedAt: later(at, skewMs) });
  return started({ ...own, startedAt: later(at, skewMs) });
}
const isAlive = (organizationId: string, id: string) => stack.authModule.chains.isAlive(organizationId, id);

it('an Auth Module whose clock is 30 s ahead keeps nothing from before the cutoff, and loses nothing from after it', async () => {
  const org = 'ahead';
  const ahead = 30_000;
  const before = now();
  const early = signInAt(org, 'reported', before, ahead);
  expect(await report(stack, [early], { sentAt: later(now(), ahead) })).toMatchObject([{ outcome: 'accepted' }]);
  signInAt(org, 'unreported', before, ahead);
  const lateToTell = signInAt(org, 'told-late', before, ahead);
  const { body } = await terminate(stack, org, 'users/grace/sessions/terminate', { prefer: 'wait=20' });
  const after = signInAt(org, 'after', later(body.cutoff, 2_000), ahead);
  // from the same clock, as if it were two seconds later
  const results = await report(stack, [lateToTell, after], { sentAt: later(now(), ahead) });
  expect(results.map(({ outcome }) => outcome)).toEqual(['rejected', 'accepted']);
  await eventually(
    () => Promise.resolve(isAlive(org, 'told-late')),
    (alive) => !alive,
  );
  await untilCompleted(stack, body);
  expect(['reported', 'unreported', 'told-late', 'after'].map((id) => isAlive(org, id))).toEqual([
    false,
    false,
    false,
    true,
  ]);
  expect((await listSessions(stack, org, 'grace')).map(({ id }) => id)).toEqual(['after']);
});

it('without `sentAt`, a start stamped in the future is fenced by when it was recorded here', async () => {
  const org = 'ahead-unsaid';
  const early = signInAt(org, 'early', now(), 30_000);
  expect(await report(stack, [early])).toMatchObject([{ outcome: 'accepted' }]);
  await terminate(stack, org, 'users/grace/sessions/terminate', { prefer: 'wait=20' });
  expect(await listSessions(stack, org, 'grace')).toEqual([]);
  expect(isAlive(org, 'early')).toBe(false);
});

it.each([
  { name: 'whose clock is 30 s behind', skewMs: -30_000 },
  { name: 'whose call was under way for 30 s', skewMs: 0 },
])('an Auth Module $name keeps nothing from before the cutoff', async ({ name, skewMs }) => {
  const org = name.replaceAll(/[^a-z]/g, '-');
  const before = now();
  const sentAt = later(before, -30_000);
  const reported = signInAt(org, 'reported', before, skewMs);
  expect(await report(stack, [reported], { sentAt })).toMatchObject([{ outcome: 'accepted' }]);
  const toldLate = signInAt(org, 'told-late', before, skewMs);
  signInAt(org, 'unreported', before, skewMs);
  const { body } = await terminate(stack, org, 'users/grace/sessions/terminate', { prefer: 'wait=20' });
  expect(await report(stack, [toldLate], { sentAt })).toMatchObject([{ outcome: 'rejected', reason: 'fenced' }]);
  await eventually(
    () => Promise.resolve(isAlive(org, 'told-late')),
    (alive) => !alive,
  );
  await untilCompleted(stack, body);
  expect(stack.authModule.chains.alive(org)).toEqual([]);
  expect(await listSessions(stack, org, 'grace')).toEqual([]);
});

it('a start that a clock behind stamps before the cutoff is refused rather than guessed at, so that its sign-in is refused too', async () => {
  const org = 'behind-after';
  const { body } = await terminate(stack, org, 'users/grace/sessions/terminate', { prefer: 'wait=20' });
  const after = signInAt(org, 'after', later(body.cutoff, 2_000), -30_000);
  expect(await report(stack, [after], { sentAt: later(now(), -30_000) })).toMatchObject([
    { outcome: 'rejected', reason: 'fenced' },
  ]);
});

it.each(['2199-01-01T00:00:00Z', '9999-12-31T23:59:59.999Z', '1970-01-01T00:00:00Z'])(
  'a `sentAt` of %s harms nobody',
  async (sentAt) => {
    const own = { organizationId: `absurd-${sentAt.slice(0, 4)}`, userId: 'grace', sessionId: 's1' };
    const token = await tokens(stack.issuer).machine('sessions:ingest');
    const answer = await call(stack, 'POST', '/v1/session-events', {
      token,
      body: { events: [event('session.refreshed', own)], sentAt },
    });
    expect(answer.status).toBe(200);
    const { status } = await terminate(stack, own.organizationId, 'users/grace/sessions/terminate', {
      prefer: 'wait=20',
    });
    expect([200, 202]).toContain(status);
  },
);
