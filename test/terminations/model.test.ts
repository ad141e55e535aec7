import fc from 'fast-check';
import { expect, it } from 'vitest';
import { call, eventually, tokens } from '../harness/client.ts';
import { event, report, started } from '../harness/events.ts';
import { useStack } from '../harness/stack.ts';
import { auditOf, expectPartition, hurry, listSessions, observer, terminate } from '../harness/terminations.ts';
import type { TerminationView } from '../../src/rules/termination.ts';

const stack = useStack();
const users = ['grace', 'heidi'];

interface ModelSession {
  id: string;
  user: string;
  startedAt: string;
  chains: string[];
  told: boolean;
  signedOut: boolean;
  /** A single termination ended it. */
  ended: boolean;
}

/** What ought to be true, and the real thing beside it. */
class World {
  readonly organizationId: string;
  readonly sessions: ModelSession[] = [];
  readonly events: object[] = [];
  untold: { session: ModelSession; event: object }[] = [];
  /** What each fence keeps. */
  readonly fences = new Map<string, { user: string | null; kept: string[] }>();
  readonly terminations = new Set<string>();
  mend: (() => void) | undefined;
  constructor(organizationId: string) {
    this.organizationId = organizationId;
  }
  own = (session: ModelSession) => ({
    organizationId: this.organizationId,
    userId: session.user,
    sessionId: session.id,
  });
  pick = (n: number): ModelSession | undefined => this.sessions[n % Math.max(1, this.sessions.length)];
  async tell(events: object[]): Promise<void> {
    this.events.push(...events);
    if (events.length > 0) await report(stack, events);
  }
  decided({ body, status }: Awaited<ReturnType<typeof terminate>>): TerminationView {
    expect([200, 202]).toContain(status);
    expectPartition(body);
    return body;
  }
}

type Step = (world: World) => Promise<void>;
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
    stack.authModule.chains.add({ ...world.own(session), chainId: id, sessionStartedAt: session.startedAt });
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
  if (!stack.authModule.chains.add({ ...world.own(session), chainId, sessionStartedAt: session.startedAt })) return;
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
  const answer = await terminate(stack, world.organizationId, `sessions/${session.id}/terminate`, {
    token: await observer(stack, world.organizationId),
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
    const answer = await terminate(stack, world.organizationId, path, {
      token: await observer(stack, world.organizationId),
      body: { exceptSessionIds: kept },
      prefer: wish,
    });
    const { id } = world.decided(answer);
    world.terminations.add(id);
    world.fences.set(id, { user, kept });
  });
const down: Step = (world) => {
  world.mend ??= stack.authModule.inject(
    { kind: 'status', status: 503 },
    { when: (each) => each.organizationId === world.organizationId },
  );
  return Promise.resolve();
};
const up: Step = (world) => {
  world.mend?.();
  world.mend = undefined;
  return Promise.resolve();
};

const steps = fc.array(
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
  ),
  { minLength: 5, maxLength: 30, size: 'max' },
);

/** Every termination of the organization, the sweeps of late starts included, once the Auth Module is well and all are completed. */
async function settle(world: World): Promise<TerminationView[]> {
  await up(world);
  const token = await observer(stack, world.organizationId);
  const hurried = new Set<string>();
  const list = async () => {
    const { body } = await call<{ items: TerminationView[] }>(
      stack,
      'GET',
      `/v1/organizations/${world.organizationId}/terminations?limit=200`,
      { token },
    );
    for (const { id, status, lastErrorClass } of body.items) {
      if (status === 'completed' || lastErrorClass === null || hurried.has(id)) continue;
      hurried.add(id);
      await hurry(stack, id);
    }
    return body.items;
  };
  return eventually(list, (items) => items.every(({ status }) => status === 'completed'), 30_000);
}

async function check(world: World): Promise<void> {
  const terminations = await settle(world);
  for (const termination of terminations) expectPartition(termination);
  const ofFence = terminations.flatMap(({ id, cutoff }) => {
    const fence = world.fences.get(id);
    return fence === undefined ? [] : [{ ...fence, cutoff }];
  });
  const active = new Set<string>();
  for (const user of users) for (const { id } of await listSessions(stack, world.organizationId, user)) active.add(id);
  for (const session of world.sessions) {
    const isEnded =
      session.ended ||
      ofFence.some(
        ({ user, kept, cutoff }) =>
          (user === null || user === session.user) && !kept.includes(session.id) && session.startedAt <= cutoff,
      );
    const living = session.chains.filter((id) => stack.authModule.chains.isAlive(world.organizationId, id));
    expect({ session, living }).toEqual({ session, living: isEnded ? [] : session.chains });
    expect({ session, isActive: active.has(session.id) }).toEqual({
      session,
      isActive: !isEnded && session.told && !session.signedOut,
    });
  }
  const audit = await auditOf(stack, world.organizationId);
  const about = (action: string) =>
    audit
      .filter((fact) => fact.action === action)
      .map(({ details }) => String(details.terminationId))
      .toSorted();
  const ids = terminations.map(({ id }) => id).toSorted();
  expect(about('termination.requested')).toEqual(ids);
  expect(about('termination.completed')).toEqual(ids);
  expect(ids).toEqual(expect.arrayContaining([...world.terminations]));
}

it('whatever happens in whatever order: what was ended at or before a cutoff is dead, and nothing else is harmed', async () => {
  let run = 0;
  await tokens(stack.issuer).machine('sessions:ingest');
  await fc.assert(
    fc.asyncProperty(steps, async (list) => {
      const world = new World(`world-${(run += 1)}`);
      try {
        for (const each of list) await each.run(world);
        await check(world);
      } finally {
        await up(world);
      }
    }),
    { numRuns: 60, interruptAfterTimeLimit: 40_000, endOnFailure: false },
  );
  expect(run).toBeGreaterThan(10);
}, 110_000);
