import { afterEach, expect, it } from 'vitest';
import { useReferenceStack } from '../harness/reference-stack.ts';
import { type Device, inLanes, usePeople, whenSettled } from './people.ts';

const SESSIONS = Number(process.env['RACE_SESSIONS'] ?? 1_000);
const ROUNDS = Number(process.env['RACE_ROUNDS'] ?? 100);
const MOMENT = Number(process.env['RACE_MOMENT'] ?? 200);

const stack = useReferenceStack();
const people = usePeople(stack);

// an event that is answered with an error is a sign-in refused: ending sessions must not get in the way of those who come
afterEach(() => expect(stack.gate.answers.get(500)).toBeUndefined());

/** One refresh of each device in flight; `act` comes when a tenth of them has been answered. */
async function raced<T>(devices: readonly Device[], act: () => Promise<T>) {
  const refreshes = devices.map((device) => people.refresh(device));
  await whenSettled(refreshes, Math.ceil(devices.length / 10));
  const acted = await act();
  const won = (await Promise.all(refreshes)).filter(Boolean).length;
  return { acted, won, lost: devices.length - won };
}

it(`end-all of a user with ${SESSIONS} sessions, one refresh of each in flight: nobody survives`, async ({
  annotate,
}) => {
  const admin = await people.admin('end-all');
  const devices = await people.signIn({ organizationId: 'end-all', userId: 'ada', count: SESSIONS });
  const [bystander] = await people.signIn({ organizationId: 'end-all', userId: 'grace' });
  expect(devices).toHaveLength(SESSIONS);
  const began = performance.now();
  const { acted, won, lost } = await raced(devices, () => people.terminate(admin, 'end-all', 'users/ada/sessions'));
  const { sessions, chains } = await people.completed(admin, acted);
  const survivors = await people.survivors(devices);
  await annotate(
    `${won} refreshes came before their chain's end, ${lost} after; ${chains.confirmed} chains confirmed, ${survivors.length} survivors; ${Math.round(performance.now() - began)} ms`,
  );
  expect(survivors).toEqual([]);
  expect([won, lost].every((n) => n > 0)).toBe(true);
  expect(sessions.total).toBe(SESSIONS);
  expect(await people.refresh(bystander!)).toBe(true);
  expect(await people.refresh(admin.device)).toBe(true);
}, 240_000);

it(`ending one session while it refreshes, ${ROUNDS} times: none survives, none beside it is harmed`, async ({
  annotate,
}) => {
  const admin = await people.admin('end-one');
  const devices = await people.signIn({ organizationId: 'end-one', userId: 'ada', count: ROUNDS });
  const others = await people.signIn({ organizationId: 'end-one', userId: 'ada', count: 10 });
  let won = 0;
  await inLanes(devices, 8, async (device) => {
    const refreshing = people.refresh(device);
    const termination = await people.terminate(admin, 'end-one', `sessions/${device.sessionId}`);
    won += Number(await refreshing);
    await people.completed(admin, termination);
  });
  const survivors = await people.survivors(devices);
  await annotate(`${won} of ${ROUNDS} refreshes came first; ${survivors.length} survivors`);
  expect(survivors).toEqual([]);
  expect(await people.survivors(others)).toHaveLength(others.length);
}, 240_000);

it('the incident button while everybody refreshes: only the caller’s own session is left', async ({ annotate }) => {
  const admin = await people.admin('incident');
  const userIds = Array.from({ length: Math.ceil(SESSIONS / 4) }, (_, n) => `user-${n}`);
  const devices = await people.signIn({ organizationId: 'incident', userIds, clients: ['web', 'mobile'] });
  expect(devices).toHaveLength(userIds.length * 2);
  const { acted, won, lost } = await raced(devices, () => people.terminate(admin, 'incident', 'sessions'));
  await people.completed(admin, acted);
  const survivors = await people.survivors(devices);
  await annotate(
    `${userIds.length} people with two clients each: ${won} refreshes came first, ${lost} after; ${survivors.length} survivors`,
  );
  expect(survivors).toEqual([]);
  expect(await people.refresh(admin.device)).toBe(true);
}, 240_000);

it(`chains issued in the same second, just before: 0 of ${MOMENT} alive`, async ({ annotate }) => {
  const admin = await people.admin('same-second');
  const began = performance.now();
  const devices = await people.signIn({ organizationId: 'same-second', userId: 'ada', count: MOMENT });
  const termination = await people.terminate(admin, 'same-second', 'users/ada/sessions');
  await people.completed(admin, termination);
  const survivors = await people.survivors(devices);
  await annotate(
    `signed in and ended within ${Math.round(performance.now() - began)} ms; ${survivors.length} of ${MOMENT} alive`,
  );
  expect(survivors).toEqual([]);
}, 240_000);
