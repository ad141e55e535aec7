import { expect, it } from 'vitest';
import { eventually } from '../harness/client.ts';
import { event, report } from '../harness/events.ts';
import { useStack } from '../harness/stack.ts';
import { hurry, listSessions, signIn, terminate, untilCompleted } from '../harness/terminations.ts';

const stack = useStack();
const own = (organizationId: string) => ({ organizationId, userId: 'eve', sessionId: 's1' });
const shown = async (organizationId: string) => {
  const [session] = await listSessions(stack, organizationId, 'eve', 'ended');
  return { endedAt: session?.endedAt, endReason: session?.endReason };
};
const withAuthModuleAway = (organizationId: string) =>
  stack.authModule.inject({ kind: 'status', status: 503 }, { when: (call) => call.organizationId === organizationId });
const untilAfter = (instant: string) =>
  eventually(
    () => Promise.resolve(Date.now()),
    (now) => now > Date.parse(instant) + 5,
  );

it('an end that was shown stays, whichever of two admins has it written down', async () => {
  await signIn(stack, { ...own('two'), chainIds: ['two1'] });
  const { promise: until, resolve: release } = Promise.withResolvers<void>();
  stack.authModule.inject(
    { kind: 'held', until },
    { endpoint: 'invalidate', times: 1, when: (call) => call.organizationId === 'two' },
  );
  const first = await terminate(stack, 'two', 'users/eve/sessions/terminate');
  await eventually(
    () => Promise.resolve(stack.authModule.calls.filter((call) => call.organizationId === 'two').length),
    (calls) => calls > 0,
  );
  const before = await shown('two');
  await untilCompleted(stack, (await terminate(stack, 'two', 'sessions/terminate')).body);
  expect(await shown('two')).toEqual(before);
  release();
  await untilCompleted(stack, first.body);
  expect(await shown('two')).toEqual(before);
});

it('a sign-out that is told of afterwards neither moves the end nor becomes its reason', async () => {
  await signIn(stack, { ...own('out'), chainIds: ['out1'] });
  const mend = withAuthModuleAway('out');
  const { body } = await terminate(stack, 'out', 'users/eve/sessions/terminate');
  const before = await shown('out');
  expect(before).toEqual({ endedAt: body.requestedAt, endReason: 'terminated' });
  await report(stack, [event('session.ended', own('out'))]);
  expect(await shown('out')).toEqual(before);
  mend();
});

it('a session that began between a termination and its join has ended with the join, and no end moves by it', async () => {
  const mend = withAuthModuleAway('join');
  const first = await terminate(stack, 'join', 'users/eve/sessions/terminate');
  await untilAfter(first.body.requestedAt);
  await signIn(stack, { ...own('join'), chainIds: ['join1'] });
  const [active] = await listSessions(stack, 'join', 'eve');
  expect(active).toMatchObject({ id: 's1', status: 'active' });
  const seenActiveAt = new Date().toISOString();
  const joined = await terminate(stack, 'join', 'users/eve/sessions/terminate');
  expect(joined.body.id).toBe(first.body.id);
  const before = await shown('join');
  expect(before).toEqual({ endedAt: joined.body.cutoff, endReason: 'terminated' });
  expect(Date.parse(before.endedAt ?? '')).toBeGreaterThanOrEqual(Date.parse(seenActiveAt) - 1);
  mend();
});

it('an end by another fence stays when an earlier termination is joined', async () => {
  const mend = withAuthModuleAway('later');
  const first = await terminate(stack, 'later', 'users/eve/sessions/terminate');
  await untilAfter(first.body.requestedAt);
  await signIn(stack, { ...own('later'), chainIds: ['later1'] });
  await terminate(stack, 'later', 'sessions/terminate', { body: { exceptSessionIds: ['other'] } });
  const before = await shown('later');
  expect((await terminate(stack, 'later', 'users/eve/sessions/terminate')).body.id).toBe(first.body.id);
  expect(await shown('later')).toEqual(before);
  mend();
});

it('an end that a first join gave stays when a second one comes, and once it is written down', async () => {
  const mend = withAuthModuleAway('joins');
  const first = await terminate(stack, 'joins', 'users/eve/sessions/terminate');
  await untilAfter(first.body.requestedAt);
  await signIn(stack, { ...own('joins'), chainIds: ['joins1'] });
  const ends = new Set<string>();
  for (let n = 1; n <= 3; n++) {
    const joined = await terminate(stack, 'joins', 'users/eve/sessions/terminate');
    expect(joined.body.id).toBe(first.body.id);
    ends.add(JSON.stringify(await shown('joins')));
    await untilAfter(joined.body.cutoff);
  }
  mend();
  await hurry(stack, first.body.id);
  await untilCompleted(stack, first.body);
  ends.add(JSON.stringify(await shown('joins')));
  expect([...ends]).toHaveLength(1);
});
