import fc from 'fast-check';
import { expect, it } from 'vitest';
import { createStreamLimit } from '../../src/api/stream-limit.ts';
import { call, eventually, tokens } from '../harness/client.ts';
import { useStack } from '../harness/stack.ts';
import { terminate } from '../harness/terminations.ts';
import { openReader } from './open-reader.ts';

const stack = useStack({ worker: false });
const perCaller = 100;

/** A termination that runs for as long as the test does, and streams of it. */
async function watched(organizationId: string) {
  const { body } = await terminate(stack, organizationId, 'users/grace/sessions/terminate');
  const path = `/v1/organizations/${organizationId}/terminations/${body.id}/events`;
  return {
    path,
    open: async (sub: string) => openReader(stack, path, await tokens(stack.issuer).orgAdmin(organizationId, { sub })),
  };
}

it('a caller has a hundred streams open in an organization, and is refused the next with 429 until one is closed; others are not', async () => {
  const [here, there] = [await watched('limited'), await watched('limited-too')];
  const readers = [];
  for (let n = 0; n < perCaller; n += 10)
    readers.push(...(await Promise.all(Array.from({ length: 10 }, () => here.open('boss')))));
  expect(new Set(readers.map(({ status }) => status))).toEqual(new Set([200]));

  const refused = await call(stack, 'GET', here.path, {
    token: await tokens(stack.issuer).orgAdmin('limited', { sub: 'boss' }),
  });
  expect([refused.status, refused.body['code'], refused.headers.get('retry-after')]).toEqual([
    429,
    'rate-limited',
    '5',
  ]);
  // an export is a stream as well
  const exported = await call(stack, 'GET', '/v1/organizations/limited/audit-events', {
    token: await tokens(stack.issuer).orgAdmin('limited', { sub: 'boss' }),
    headers: { accept: 'text/csv' },
  });
  expect(exported.status).toBe(429);

  const [colleague, elsewhere] = [await here.open('colleague'), await there.open('boss')];
  expect([colleague.status, elsewhere.status]).toEqual([200, 200]);

  readers[0]?.leave();
  const again = await eventually(
    () => here.open('boss'),
    ({ status }) => status === 200,
  );
  for (const reader of [...readers, colleague, elsewhere, again]) reader.leave();
  await Promise.all([...readers, colleague, elsewhere, again].map(({ closed }) => closed));
  // every place was given back
  const after = await eventually(
    () => Promise.all(Array.from({ length: perCaller }, () => here.open('boss'))),
    (opened) => {
      const all = opened.every(({ status }) => status === 200);
      if (!all) for (const reader of opened) reader.leave();
      return all;
    },
  );
  for (const reader of after) reader.leave();
});

it('a process has never more streams open than it may, nor a caller, whatever is opened and closed; what is closed twice gives one place back', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ caller: fc.constantFrom('a', 'b', 'c'), open: fc.boolean(), which: fc.nat(9) })),
      (steps) => {
        const take = createStreamLimit({ perCaller: 3, perProcess: 5 });
        const open: { caller: string; close: () => void }[] = [];
        const closed: (() => void)[] = [];
        for (const { caller, open: opens, which } of steps) {
          if (opens) {
            const may = open.length < 5 && open.filter((each) => each.caller === caller).length < 3;
            if (may) open.push({ caller, close: take(caller) });
            else expect(() => take(caller)).toThrow(expect.objectContaining({ code: 'rate-limited' }));
          } else {
            const [one] = open.splice(which % Math.max(open.length, 1), 1);
            if (one !== undefined) closed.push(one.close);
            one?.close();
            closed[which]?.();
          }
        }
      },
    ),
  );
});

it('a hundred for a caller and five thousand for a process are what a process has by default', () => {
  const take = createStreamLimit();
  for (let n = 0; n < 5_000; n += 1) take(`caller ${Math.floor(n / 100)}`);
  expect(() => take('caller 50')).toThrow(expect.objectContaining({ code: 'rate-limited' }));
});
