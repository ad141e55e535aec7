import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import type { GrantView } from '../../src/rules/support-access-grant.ts';
import { eventually } from '../harness/client.ts';
import { Refused, useReferenceStack } from '../harness/reference-stack.ts';
import { type Caller, inLanes, usePeople } from './people.ts';
import { useSupport } from './support.ts';

const SIGN_INS = Number(process.env['RACE_SUPPORT_SIGN_INS'] ?? 500);
const GRANTS = Number(process.env['RACE_SUPPORT_GRANTS'] ?? 20);
/** Support sign-ins under way at any moment. */
const LANES = 12;
const SIGN_OUTS = Number(process.env['RACE_SUPPORT_SIGN_OUTS'] ?? 24);

const stack = useReferenceStack();
const people = usePeople(stack);
const { staff, grant, revoke, cleared, reads } = useSupport(stack);

it(`${SIGN_INS} support sign-ins racing ${GRANTS} grants and revokes: nobody is left alive`, async ({ annotate }) => {
  const admin = await people.admin('racing');
  const crew = await Promise.all(Array.from({ length: 4 }, (_, n) => staff(`staff-${n}`)));
  const opened: Caller[] = [];
  const over = new AbortController();
  let refused = 0;
  const signInsUntilOver = async (who: number) => {
    while (!over.signal.aborted) {
      try {
        opened.push(await people.support(crew[who % crew.length]!, `staff-${who % crew.length}`, 'racing'));
      } catch (error) {
        if (!(error instanceof Refused) || error.status !== 403) throw error;
        refused += 1;
        await sleep(10);
      }
    }
  };
  const lanes = Array.from({ length: LANES }, (_, n) => signInsUntilOver(n));
  const grants: GrantView[] = [];
  for (let round = 1; round <= GRANTS; round++) {
    const given = await grant(admin, 'racing');
    grants.push(given);
    const enough = Math.ceil((SIGN_INS * round) / GRANTS);
    await eventually(
      async () => opened.length,
      (n) => n >= enough,
      120_000,
    );
    await revoke(admin, given);
  }
  over.abort();
  await Promise.all(lanes);
  for (const given of grants) await cleared(admin, given);
  const survivors = await people.survivors(opened.map(({ device }) => device));
  await annotate(`${opened.length} let in, ${refused} refused at the door; ${survivors.length} survivors`);
  expect(survivors).toEqual([]);
  expect(refused).toBeGreaterThan(0);
  for (const support of opened.slice(-5)) expect(await reads(support, 'racing')).toEqual([401, 'session-ended']);
  expect(await people.survivors(crew.map(({ device }) => device))).toHaveLength(crew.length);
}, 300_000);

it(`a staff member’s sign-out racing the support sign-in from that session, ${SIGN_OUTS} times: the support session does not outlive it`, async ({
  annotate,
}) => {
  const admin = await people.admin('parents');
  await grant(admin, 'parents');
  const opened = await inLanes(Array.from({ length: SIGN_OUTS }), 4, async (_, n) => {
    const sam = await staff();
    const entering = people.support(sam, 'sam', 'parents').catch((error: unknown) => {
      if (error instanceof Refused && error.status === 403) return null;
      throw error;
    });
    await sleep((n % 8) * 15);
    await people.signOut(sam.device);
    return entering;
  });
  await people.told();
  const supports = opened.filter((support) => support !== null);
  await annotate(`${supports.length} of ${SIGN_OUTS} support sessions were opened before the sign-out was told`);
  for (const { device } of supports)
    await eventually(
      () => people.refresh(device),
      (alive) => !alive,
      60_000,
    );
  for (const support of supports) expect((await reads(support, 'parents'))[0]).toBe(401);
}, 240_000);
