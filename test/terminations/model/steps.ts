import fc from 'fast-check';
import { expect } from 'vitest';
import { event, started } from '../../harness/events.ts';
import { type ModelSession, type Part, users, type World } from './world.ts';

export type Step = (world: World) => Promise<void>;
const index = fc.nat(30);
const step = (name: string, arbitrary: fc.Arbitrary<Step>) =>
  arbitrary.map((run) => ({ name, run, toString: () => name }));

const signIn = fc
  .record({ user: fc.constantFrom(...users), tell: fc.constantFrom('now', 'now', 'late', 'never') })
  .map(({ user, tell }): Step => async (world) => {
    const id = `s${world.sessions.length}`;
    const session: ModelSession = {
      id,
      user,
      startedAt: new Date().toISOString(),
      chains: [id],
      told: tell === 'now',
      signedOut: false,
      ended: false,
    };
    world.sessions.push(session);
    world.stack.authModule.chains.add({ ...world.own(session), chainId: id, sessionStartedAt: session.startedAt });
    const start = started({ ...world.own(session), chainId: id, startedAt: session.startedAt });
    if (tell === 'now') await world.tell([start]);
    if (tell === 'late') world.untold.push({ session, event: start });
  });
const tellLate = fc.boolean().map((reversed): Step => async (world) => {
  const late = reversed ? world.untold.toReversed() : world.untold;
  world.untold = [];
  await world.tell(late.map((each) => each.event));
  for (const { session } of late) session.told = true;
});
const repeat = index.map((n): Step => async (world) => {
  const again = world.events[n % Math.max(1, world.events.length)];
  if (again !== undefined) await world.tell([again, again]);
});
const refresh = index.map((n): Step => async (world) => {
  const session = world.pick(n);
  if (session === undefined || !session.told) return;
  await world.tell([
    event('session.refreshed', {
      ...world.own(session),
      startedAt: session.startedAt,
      occurredAt: new Date().toISOString(),
    }),
  ]);
});
const newChain = fc.tuple(index, fc.boolean()).map(([n, isTold]): Step => async (world) => {
  const session = world.pick(n);
  if (session === undefined) return;
  const chainId = `${session.id}-${session.chains.length}`;
  if (!world.stack.authModule.chains.add({ ...world.own(session), chainId, sessionStartedAt: session.startedAt }))
    return;
  session.chains.push(chainId);
  if (!isTold) return;
  session.told = true;
  await world.tell([
    event('chain.started', {
      ...world.own(session),
      chainId,
      startedAt: session.startedAt,
      occurredAt: new Date().toISOString(),
    }),
  ]);
});
const signOut = index.map((n): Step => async (world) => {
  const session = world.pick(n);
  if (session === undefined || !session.told) return;
  session.signedOut = true;
  await world.tell([
    event('session.ended', {
      ...world.own(session),
      startedAt: session.startedAt,
      occurredAt: new Date().toISOString(),
    }),
  ]);
});
const prefer = fc.constantFrom('respond-async', 'respond-async', 'wait=1');
const endOne = fc.tuple(index, prefer).map(([n, wish]): Step => async (world) => {
  const session = world.pick(n);
  if (session === undefined) return;
  const answer = await world.terminate(`sessions/${session.id}/terminate`, {
    prefer: wish,
  });
  // what nobody told of is not there, unless a sweep has found it
  if (answer.status === 404) return expect(session.told).toBe(false);
  const { id, scope } = world.decided(answer);
  world.terminations.add(id);
  if (scope.kind === 'session') session.ended = true;
});
const endMany = fc
  .tuple(fc.option(fc.constantFrom(...users), { nil: null }), fc.array(index, { maxLength: 2 }), prefer)
  .map(([user, keep, wish]): Step => async (world) => {
    const kept = [...new Set(keep.flatMap((n) => world.pick(n)?.id ?? []))];
    const path = user === null ? 'sessions/terminate' : `users/${user}/sessions/terminate`;
    const answer = await world.terminate(path, {
      body: { exceptSessionIds: kept },
      prefer: wish,
    });
    const { id } = world.decided(answer);
    world.terminations.add(id);
    world.fences.set(id, { user, kept });
  });
const down: Step = (world) => {
  world.mend ??= world.stack.authModule.inject(
    { kind: 'status', status: 503 },
    { when: (each) => each.organizationId === world.organizationId },
  );
  return Promise.resolve();
};
const up: Step = (world) => {
  world.mendAuthModule();
  return Promise.resolve();
};

const crash =
  (part: Part): Step =>
  (world) => {
    world.service.crash(part);
    return Promise.resolve();
  };

type Named = { name: string; run: Step };
const list = (...more: fc.WeightedArbitrary<Named>[]) =>
  fc.array(
    fc.oneof(
      { weight: 6, arbitrary: step('sign in', signIn) },
      { weight: 2, arbitrary: step('tell late', tellLate) },
      { weight: 1, arbitrary: step('repeat', repeat) },
      { weight: 2, arbitrary: step('refresh', refresh) },
      { weight: 2, arbitrary: step('new chain', newChain) },
      { weight: 1, arbitrary: step('sign out', signOut) },
      { weight: 2, arbitrary: step('end one', endOne) },
      { weight: 3, arbitrary: step('end many', endMany) },
      { weight: 1, arbitrary: step('down', fc.constant(down)) },
      { weight: 1, arbitrary: step('up', fc.constant(up)) },
      ...more,
    ),
    { minLength: 5, maxLength: 30, size: 'max' },
  );

export const steps = list();
const workerCrashes = step('worker crashes', fc.constant(crash('worker')));
const apiCrashes = step('API crashes', fc.constant(crash('api')));
/** Both, in either order. */
export const crashes = fc.oneof(fc.tuple(workerCrashes, apiCrashes), fc.tuple(apiCrashes, workerCrashes));
export const stepsAndCrashes = list({ weight: 1, arbitrary: workerCrashes }, { weight: 1, arbitrary: apiCrashes });
