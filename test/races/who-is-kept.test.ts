import { expect, it } from 'vitest';
import { eventually } from '../harness/client.ts';
import { useReferenceStack } from '../harness/reference-stack.ts';
import { usePeople } from './people.ts';

const stack = useReferenceStack();
const people = usePeople(stack);

it('a user who is also in another organization is untouched there', async () => {
  const admin = await people.admin('acme');
  const here = await people.signIn({ organizationId: 'acme', userId: 'grace', count: 20, clients: ['web', 'mobile'] });
  const there = await people.signIn({
    organizationId: 'globex',
    userId: 'grace',
    count: 20,
    clients: ['web', 'mobile'],
  });
  for (const path of ['users/grace/sessions', 'sessions']) {
    await people.completed(admin, await people.terminate(admin, 'acme', path));
    expect(await people.survivors(here)).toEqual([]);
    expect(await people.survivors(there)).toHaveLength(there.length);
  }
});

it('the caller’s own session is kept, whatever the scope, and still refreshes; with includeOwn it goes too', async () => {
  const admin = await people.admin('own');
  const others = await people.signIn({ organizationId: 'own', userId: 'the-admin', count: 10 });
  for (const path of ['users/the-admin/sessions', 'sessions']) {
    await people.completed(admin, await people.terminate(admin, 'own', path));
    expect(await people.survivors(others)).toEqual([]);
    expect(await people.refresh(admin.device)).toBe(true);
  }
  await people.terminate(admin, 'own', 'sessions', { includeOwn: true });
  const next = await people.ask(admin, 'GET', '/v1/organizations/own/terminations');
  expect({ status: next.status, code: next.body['code'] }).toEqual({ status: 401, code: 'session-ended' });
  await eventually(
    () => people.refresh(admin.device),
    (alive) => !alive,
  );
});

it('a kept session still refreshes, and all its clients with it; a later one that keeps it revives nothing', async () => {
  const admin = await people.admin('kept');
  const devices = await people.signIn({ organizationId: 'kept', userId: 'ada', count: 4, clients: ['web', 'mobile'] });
  const [keptId, laterId] = [...new Set(devices.map((device) => device.sessionId))];
  const of = (id: string | undefined) => devices.filter((device) => device.sessionId === id);
  await people.completed(
    admin,
    await people.terminate(admin, 'kept', 'users/ada/sessions', { exceptSessionIds: [keptId] }),
  );
  expect(await people.survivors(devices)).toEqual(of(keptId));
  await people.completed(
    admin,
    await people.terminate(admin, 'kept', 'users/ada/sessions', { exceptSessionIds: [keptId, laterId] }),
  );
  expect(await people.survivors(devices)).toEqual(of(keptId));
});

it('two admins at once, with different sessions kept: only what both keep is left', async () => {
  const [first, second] = await Promise.all([people.admin('both', 'first'), people.admin('both', 'second')]);
  const devices = await people.signIn({ organizationId: 'both', userId: 'ada', count: 30 });
  const ids = devices.map((device) => device.sessionId);
  const kept = [ids.slice(0, 20), ids.slice(10, 30)];
  const terminations = await Promise.all(
    [first, second].map((admin, n) =>
      people.terminate(admin, 'both', 'users/ada/sessions', { exceptSessionIds: kept[n] }),
    ),
  );
  expect(new Set(terminations.map(({ id }) => id)).size).toBe(2);
  for (const termination of terminations) await people.completed(first, termination);
  expect((await people.survivors(devices)).map((device) => device.sessionId)).toEqual(ids.slice(10, 20));
});

it('two admins press the incident button at once: each keeps the own session only against the own button', async () => {
  const admins = await Promise.all([people.admin('buttons', 'first'), people.admin('buttons', 'second')]);
  const devices = await people.signIn({
    organizationId: 'buttons',
    userIds: Array.from({ length: 50 }, (_, n) => `user-${n}`),
  });
  await Promise.all(
    admins.map((admin) =>
      people.ask(admin, 'POST', '/v1/organizations/buttons/sessions/terminate', {}, { prefer: 'wait=10' }),
    ),
  );
  await eventually(
    () => people.survivors([...devices, ...admins.map((admin) => admin.device)]),
    (alive) => alive.length <= 1,
  );
  expect(await people.survivors(devices)).toEqual([]);
});
