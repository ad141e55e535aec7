import { expect } from 'vitest';
import type { TerminationView } from '../../../src/rules/termination.ts';
import { call, eventually } from '../../harness/client.ts';
import { auditOf, expectPartition, hurry, listSessions, observer } from '../../harness/terminations.ts';
import { users, type World } from './world.ts';

/** Every termination of the organization, the sweeps of late starts included, once the Auth Module is well and all are completed. */
async function settle(world: World): Promise<TerminationView[]> {
  world.mendAuthModule();
  const token = await observer(world.stack, world.organizationId);
  const hurried = new Set<string>();
  const list = async () => {
    const { body } = await call<{ items: TerminationView[] }>(
      world.stack,
      'GET',
      `/v1/organizations/${world.organizationId}/terminations?limit=200`,
      { token },
    );
    for (const { id, status, lastErrorClass } of body.items) {
      if (status === 'completed' || lastErrorClass === null || hurried.has(id)) continue;
      hurried.add(id);
      await hurry(world.stack, id);
    }
    return body.items;
  };
  return eventually(list, (items) => items.every(({ status }) => status === 'completed'), 60_000);
}

/** What must hold at last, whatever has happened in whatever order. */
export async function check(world: World): Promise<void> {
  const terminations = await settle(world);
  for (const termination of terminations) expectPartition(termination);
  const ofFence = terminations.flatMap(({ id, cutoff }) => {
    const fence = world.fences.get(id);
    return fence === undefined ? [] : [{ ...fence, cutoff }];
  });
  const active = new Set<string>();
  for (const user of users)
    for (const { id } of await listSessions(world.stack, world.organizationId, user)) active.add(id);
  for (const session of world.sessions) {
    const isEnded =
      session.ended ||
      ofFence.some(
        ({ user, kept, cutoff }) =>
          (user === null || user === session.user) && !kept.includes(session.id) && session.startedAt <= cutoff,
      );
    const living = session.chains.filter((id) => world.stack.authModule.chains.isAlive(world.organizationId, id));
    expect({ session, living }).toEqual({ session, living: isEnded ? [] : session.chains });
    expect({ session, isActive: active.has(session.id) }).toEqual({
      session,
      isActive: !isEnded && session.told && !session.signedOut,
    });
  }
  const audit = await auditOf(world.stack, world.organizationId);
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
