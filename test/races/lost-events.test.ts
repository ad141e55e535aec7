import { expect, it } from 'vitest';
import { eventually } from '../harness/client.ts';
import { losing, serviceUnavailable } from '../harness/event-gate.ts';
import { useReferenceStack } from '../harness/reference-stack.ts';
import { usePeople } from './people.ts';

const CHAINS = Number(process.env['RACE_LOST_CHAINS'] ?? 100);

const stack = useReferenceStack();
const people = usePeople(stack);

const heardOf = async (organizationId: string) =>
  (
    await stack.database.query<{ n: number }>(
      'select count(*)::int as n from refresh_token_chains where organization_id = $1',
      [organizationId],
    )
  )[0]?.n;

it(`${CHAINS} chains whose events were lost for good are found by the sweep, and die`, async ({ annotate }) => {
  const admin = await people.admin('lost');
  const known = await heardOf('lost');
  stack.gate.handle = losing((event) => event.type === 'session.started');
  const devices = await people.signIn({ organizationId: 'lost', userId: 'ada', count: CHAINS });
  stack.gate.open();
  expect(await heardOf('lost')).toBe(known);
  const { chains } = await people.completed(admin, await people.terminate(admin, 'lost', 'users/ada/sessions'));
  await annotate(`${chains.total} chains in the books of the termination, of which no event ever told`);
  expect(chains.total).toBe(devices.length);
  expect(await people.survivors(devices)).toEqual([]);
});

it('a session of which the service has lost all trace is found, by user and by organization', async () => {
  const admin = await people.admin('trace');
  const devices = await people.signIn({
    organizationId: 'trace',
    userId: 'ada',
    count: 10,
    clients: ['web', 'mobile'],
  });
  const others = await people.signIn({ organizationId: 'trace', userId: 'linus', count: 10 });
  const forget = async () => {
    for (const table of ['refresh_token_chains', 'sessions'])
      await stack.database.query(
        `delete from ${table} where organization_id = 'trace' and user_id in ('ada', 'linus')`,
      );
  };
  await forget();
  await people.completed(admin, await people.terminate(admin, 'trace', 'users/ada/sessions'));
  expect(await people.survivors(devices)).toEqual([]);
  expect(await people.survivors(others)).toHaveLength(others.length);
  await forget();
  await people.completed(admin, await people.terminate(admin, 'trace', 'sessions'));
  expect(await people.survivors(others)).toEqual([]);
  expect(await people.refresh(admin.device)).toBe(true);
});

it('ending one session finds the chain of a later client, whose event is still under way', async () => {
  const admin = await people.admin('later');
  stack.gate.handle = losing((event) => event.type === 'session.started');
  const devices = await people.signIn({ organizationId: 'later', userId: 'ada', clients: ['web', 'mobile'] });
  const [bystander] = await people.signIn({ organizationId: 'later', userId: 'ada' });
  stack.gate.open();
  await people.completed(admin, await people.terminate(admin, 'later', `sessions/${devices[0]!.sessionId}`));
  expect(await people.survivors(devices)).toEqual([]);
  expect(await people.refresh(bystander!)).toBe(true);
});

it('events that wait while the service answers 503 come late, and change nothing that was ended', async () => {
  const admin = await people.admin('late');
  stack.gate.handle = ({ events, forward }) =>
    events.every((event) => event.type === 'session.started') ? forward() : Promise.resolve(serviceUnavailable);
  // each waits five seconds for its event to be delivered
  const [before, kept] = (await Promise.all([
    people.signIn({ organizationId: 'late', userId: 'ada', count: 50 }),
    people.signIn({ organizationId: 'late', userId: 'linus', count: 50 }),
  ])) as [never, never];
  await people.completed(admin, await people.terminate(admin, 'late', 'users/ada/sessions'));
  expect(await people.survivors(before)).toEqual([]);
  stack.gate.open();
  await people.told();
  expect(await people.survivors(before)).toEqual([]);
  expect(await people.survivors(kept)).toHaveLength(50);
});

it('refreshes during a deploy of the API are told afterwards; ended sessions stay ended, others stay alive', async () => {
  const admin = await people.admin('deploy');
  const ended = await people.signIn({ organizationId: 'deploy', userId: 'ada', count: 30 });
  const alive = await people.signIn({ organizationId: 'deploy', userId: 'linus', count: 30 });
  await people.terminate(admin, 'deploy', 'users/ada/sessions');
  await stack.restartApi(async () => void (await Promise.all([people.survivors(ended), people.survivors(alive)])));
  await people.told();
  await eventually(
    () => people.survivors(ended),
    (survivors) => survivors.length === 0,
  );
  expect(await people.survivors(alive)).toHaveLength(alive.length);
});
