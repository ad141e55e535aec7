import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { SessionView } from '../../src/rules/session.ts';
import { call } from '../harness/client.ts';
import { event, report, started } from '../harness/events.ts';
import { useStack } from '../harness/stack.ts';
import { observer, terminate } from '../harness/terminations.ts';

const stack = useStack({ worker: false });
const minute = 60_000;

/** What happens to a user's sessions between two pages; `of` names one of those there are then. */
const happening = fc.oneof(
  { weight: 4, arbitrary: fc.record({ what: fc.constant('used' as const), of: fc.nat(11) }) },
  { weight: 2, arbitrary: fc.record({ what: fc.constant('told of an earlier start' as const), of: fc.nat(11) }) },
  {
    weight: 2,
    arbitrary: fc.record({ what: fc.constant('signed in' as const), minutesAgo: fc.integer({ min: -5, max: 40 }) }),
  },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('signed out' as const), of: fc.nat(11) }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('terminated' as const), of: fc.nat(11) }) },
);
type Happening = typeof happening extends fc.Arbitrary<infer T> ? T : never;

let users = 0;
/** Twelve sessions of a new user at four instants; what was over at some time is told apart from what was there all along. */
async function plantUser() {
  const own = { organizationId: 'paging', userId: `user-${users++}` };
  const now = Date.now();
  const at = (minutesAgo: number) => new Date(now - minutesAgo * minute).toISOString();
  const planted = Array.from({ length: 12 }, (_, n) => ({
    sessionId: `${own.userId}-${n}`,
    startedAt: at(10 * (n % 4)),
  }));
  await report(
    stack,
    planted.map((session) => started({ ...own, ...session, occurredAt: session.startedAt })),
  );
  const over = new Set<string>();
  let signedIn = 0;
  const happen = async (next: Happening): Promise<void> => {
    if (next.what === 'signed in') {
      const startedAt = at(next.minutesAgo);
      await report(stack, [started({ ...own, sessionId: `${own.userId}-new-${signedIn++}`, startedAt })]);
      return;
    }
    const session = planted[next.of];
    if (session === undefined) return;
    if (next.what === 'signed out' || next.what === 'terminated') over.add(session.sessionId);
    if (next.what === 'terminated') await terminate(stack, 'paging', `sessions/${session.sessionId}/terminate`);
    else if (next.what === 'signed out') await report(stack, [event('session.ended', { ...own, ...session })]);
    else if (next.what === 'used')
      await report(stack, [event('session.refreshed', { ...own, ...session, occurredAt: new Date().toISOString() })]);
    else await report(stack, [started({ ...own, ...session, startedAt: at(200) })]);
  };
  return { ...own, planted, over, happen };
}

it('whatever is signed in, used or ended between pages, each session that was there all the time is shown exactly once', async () => {
  const token = await observer(stack, 'paging');
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 5 }),
      fc.constantFrom('active', 'all'),
      fc.array(fc.array(happening, { maxLength: 3 }), { minLength: 12, maxLength: 12 }),
      async (limit, status, between) => {
        const { userId, planted, over, happen } = await plantUser();
        const shown: string[] = [];
        let cursor: string | null = '';
        for (let n = 0; cursor !== null; n++) {
          const query: string = `limit=${limit}&status=${status}${cursor === '' ? '' : `&cursor=${cursor}`}`;
          const answer: { status: number; text: string; body: { items: SessionView[]; nextCursor: string | null } } =
            await call(stack, 'GET', `/v1/organizations/paging/users/${userId}/sessions?${query}`, { token });
          expect(answer.status, answer.text).toBe(200);
          shown.push(...answer.body.items.map(({ id }) => id));
          cursor = answer.body.nextCursor;
          for (const next of between[n] ?? []) await happen(next);
        }
        expect(new Set(shown).size).toBe(shown.length);
        const always = planted.map(({ sessionId }) => sessionId);
        expect(shown).toEqual(expect.arrayContaining(status === 'all' ? always : always.filter((id) => !over.has(id))));
      },
    ),
    { numRuns: 40 },
  );
});
