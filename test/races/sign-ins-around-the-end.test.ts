import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { Refused, useReferenceStack } from '../harness/reference-stack.ts';
import { type Device, inLanes, usePeople } from './people.ts';

const SIGN_INS = Number(process.env['RACE_SIGN_INS'] ?? 300);
/** Sign-ins under way at any moment. */
const LANES = 12;

const stack = useReferenceStack();
const people = usePeople(stack);

interface Fate {
  /** Null: refused at the door. */
  device: Device | null;
  startedAt: number;
}

/** Signs people in without pause, and runs `act` when a third of them has come. */
async function stream(
  organizationId: string,
  userOf: (n: number) => string,
  act: () => Promise<void>,
): Promise<Fate[]> {
  let acting: Promise<void> | undefined;
  const devices = await inLanes(Array.from({ length: SIGN_INS }), LANES, async (_, n) => {
    if (n === Math.floor(SIGN_INS / 3)) acting = act();
    const [device] = await people.signIn({ organizationId, userId: userOf(n) }).catch((error: unknown) => {
      if (error instanceof Refused && error.status === 403) return [null];
      throw error;
    });
    return device ?? null;
  });
  await acting;
  const starts = await startsOf(devices.flatMap((device) => device?.sessionId ?? []));
  return devices.map((device) => ({
    device,
    startedAt: device === null ? NaN : (starts.get(device.sessionId) ?? NaN),
  }));
}

async function startsOf(sessionIds: string[]): Promise<Map<string, number>> {
  const { rows } = await stack.authDatabase.query<{ id: string; at: Date }>(
    'select session_id as id, started_at as at from auth_sessions where session_id = any($1)',
    [sessionIds],
  );
  return new Map(rows.map(({ id, at }) => [id, at.getTime()]));
}

/** Refreshes with everybody who was let in, and says what became of them. */
async function judge(fates: readonly Fate[], cutoff: number): Promise<string> {
  const signIns = fates.filter((fate): fate is Fate & { device: Device } => fate.device !== null);
  const devices = (wanted: (startedAt: number) => boolean) =>
    signIns.filter(({ startedAt }) => wanted(startedAt)).map(({ device }) => device);
  const [before, after] = [devices((at) => at <= cutoff), devices((at) => at > cutoff)];
  const survivors = await people.survivors(before);
  const unharmed = await people.survivors(after);
  expect(survivors).toEqual([]);
  expect(unharmed).toHaveLength(after.length);
  expect(before.length).toBeGreaterThan(SIGN_INS / 10);
  // who was refused was under way at a cutoff; the Auth Module's and the service's clock are one
  expect(fates.length - signIns.length).toBeLessThan(SIGN_INS / 3);
  return `${before.length} began at or before the cutoff: ${survivors.length} survive; ${after.length} after it: ${unharmed.length} live; ${fates.length - signIns.length} refused at the door`;
}

it('before, during and after an end-all of one user: none from at or before the cutoff survives, none after is harmed', async ({
  annotate,
}) => {
  const admin = await people.admin('stream');
  let cutoff = NaN;
  const fates = await stream(
    'stream',
    () => 'ada',
    async () => {
      const termination = await people.terminate(admin, 'stream', 'users/ada/sessions');
      cutoff = Date.parse(termination.cutoff);
      await people.completed(admin, termination);
    },
  );
  await annotate(await judge(fates, cutoff));
}, 240_000);

it('the same for a whole organization', async ({ annotate }) => {
  const admin = await people.admin('stream-all');
  let cutoff = NaN;
  const fates = await stream(
    'stream-all',
    (n) => `user-${n % 20}`,
    async () => {
      const termination = await people.terminate(admin, 'stream-all', 'sessions');
      cutoff = Date.parse(termination.cutoff);
      await people.completed(admin, termination);
    },
  );
  await annotate(await judge(fates, cutoff));
  expect(await people.refresh(admin.device)).toBe(true);
}, 240_000);

it('two admins end the same user again and again while the user signs in: whoever began at or before the last cutoff is out', async ({
  annotate,
}) => {
  const [first, second] = await Promise.all([
    people.admin('two-admins', 'first'),
    people.admin('two-admins', 'second'),
  ]);
  const cutoffs: number[] = [];
  const fates = await stream(
    'two-admins',
    () => 'ada',
    async () => {
      const terminations = await Promise.all(
        [first, second].map(async (admin) => {
          const all = [];
          for (let n = 0; n < 5; n++) {
            all.push(await people.terminate(admin, 'two-admins', 'users/ada/sessions'));
            await sleep(20);
          }
          return all;
        }),
      );
      for (const termination of terminations.flat())
        cutoffs.push(Date.parse((await people.completed(first, termination)).cutoff));
    },
  );
  await annotate(`${new Set(cutoffs).size} cutoffs in 10 requests; ${await judge(fates, Math.max(...cutoffs))}`);
  for (const admin of [first, second]) expect(await people.refresh(admin.device)).toBe(true);
}, 240_000);

it('a sign-in whose answer is on its way when its user is ended gets no chain', async () => {
  const admin = await people.admin('on-its-way');
  let answer = () => {};
  const told = new Promise<void>((heard) => {
    stack.gate.handle = async ({ forward }) => {
      const answered = await forward();
      heard();
      await new Promise<void>((free) => (answer = free));
      return answered;
    };
  });
  const signingIn = stack.ask('/demo/sign-ins', { organizationId: 'on-its-way', userId: 'ada' }).then(
    () => 'signed in',
    (error: unknown) => (error instanceof Refused ? error.status : error),
  );
  await told;
  stack.gate.open();
  await people.completed(admin, await people.terminate(admin, 'on-its-way', 'users/ada/sessions'));
  answer();
  // 503: the Auth Module waits five seconds for an answer, which may be less than an end takes on a busy machine
  expect([403, 503]).toContain(await signingIn);
  const { rows } = await stack.authDatabase.query(
    `select 1 from auth_chains where organization_id = 'on-its-way' and user_id = 'ada'`,
  );
  expect(rows).toEqual([]);
});
