import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import type { SessionView } from '../../src/rules/session.ts';
import type { GrantView } from '../../src/rules/support-access-grant.ts';
import { eventually } from '../harness/client.ts';
import { losing } from '../harness/event-gate.ts';
import { Refused, useReferenceStack } from '../harness/reference-stack.ts';
import { type Caller, inLanes, usePeople } from './people.ts';

const SIGN_INS = Number(process.env['RACE_SUPPORT_SIGN_INS'] ?? 500);
const GRANTS = Number(process.env['RACE_SUPPORT_GRANTS'] ?? 20);
/** Support sign-ins under way at any moment. */
const LANES = 12;
const SIGN_OUTS = Number(process.env['RACE_SUPPORT_SIGN_OUTS'] ?? 24);

const stack = useReferenceStack({ environment: { GRANT_MIN_SECONDS: '1' } });
const people = usePeople(stack);

const staff = (sub = 'sam') => people.enter('vendor', sub, ['global_admin']);
const path = (organization: string, rest: string) => `/v1/organizations/${organization}/${rest}`;
const inSeconds = (seconds: number) => new Date(Date.now() + seconds * 1_000).toISOString();

async function grant(
  admin: Caller,
  organization: string,
  body: { userId?: string | null; expiresAt?: string } = {},
): Promise<GrantView> {
  const expiresAt = body.expiresAt ?? inSeconds(600);
  const ask = () =>
    people.ask<GrantView>(admin, 'POST', path(organization, 'support-access-grants'), {
      userId: null,
      ...body,
      expiresAt,
    });
  // nothing is granted while no worker is up, and a busy machine is slow to answer: asked again
  const answer = await eventually(ask, ({ status }) => status !== 503, 60_000);
  expect(answer.status, answer.text).toBe(201);
  return answer.body;
}
async function revoke(admin: Caller, { organizationId, id }: GrantView): Promise<void> {
  const answer = await people.ask(admin, 'POST', path(organizationId, `support-access-grants/${id}/revoke`), {});
  expect(answer.status, answer.text).toBe(200);
}
const cleared = (admin: Caller, { organizationId, id }: GrantView) =>
  eventually(
    async () => (await people.ask<GrantView>(admin, 'GET', path(organizationId, `support-access-grants/${id}`))).body,
    ({ status }) => status === 'ended',
    120_000,
  );

const refusal = (acting: Promise<unknown>) =>
  acting.then(
    () => 'let in',
    (error: unknown) => (error instanceof Refused ? error.status : error),
  );
/** What an API call of this person comes to in the organization. */
const reads = async (by: Caller, organization: string) => {
  const { status, body } = await people.ask(by, 'GET', path(organization, 'users/linus/sessions'));
  return [status, body['code']];
};

it('granted, signed in, listed, revoked: the refresh is refused, and so is the very next call', async () => {
  const [admin, sam] = [await people.admin('acme'), await staff()];
  expect(await refusal(people.support(sam, 'sam', 'acme'))).toBe(403);
  expect(await reads(sam, 'acme')).toEqual([403, 'support-access-required']);

  const given = await grant(admin, 'acme');
  const support = await people.support(sam, 'sam', 'acme');
  expect(await people.refresh(support.device)).toBe(true);
  for (const by of [support, sam]) expect(await reads(by, 'acme')).toEqual([200, undefined]);
  const { body } = await people.ask<{ items: SessionView[] }>(admin, 'GET', path('acme', 'users/sam/sessions'));
  expect(body.items).toMatchObject([
    { id: support.device.sessionId, supportAccessGrantId: given.id, status: 'active', expiresAt: given.expiresAt },
  ]);
  // it reaches no further than this organization
  expect(await reads(support, 'globex')).toMatchObject([403, expect.any(String)]);

  await revoke(admin, given);
  expect(await reads(support, 'acme')).toEqual([401, 'session-ended']);
  expect(await reads(sam, 'acme')).toEqual([403, 'support-access-required']);
  expect(await refusal(people.support(sam, 'sam', 'acme'))).toBe(403);
  await cleared(admin, given);
  expect(await people.refresh(support.device)).toBe(false);
  expect(await people.refresh(sam.device)).toBe(true);
}, 240_000);

it('it ends by the clock as well: at the end of the grant nothing refreshes, and nobody comes in', async () => {
  const [admin, sam] = [await people.admin('expiring'), await staff()];
  const given = await grant(admin, 'expiring', { expiresAt: inSeconds(6) });
  const support = await people.support(sam, 'sam', 'expiring');
  expect(await people.refresh(support.device)).toBe(true);
  await sleep(Date.parse(given.expiresAt) - Date.now() + 5);
  expect(await people.refresh(support.device)).toBe(false);
  expect((await reads(sam, 'expiring'))[0]).toBe(403);
  expect((await reads(support, 'expiring'))[0]).toBe(401);
  expect(await refusal(people.support(sam, 'sam', 'expiring'))).toBe(403);
  expect(await cleared(admin, given)).toMatchObject({ endReason: 'expired' });
}, 240_000);

it('a grant for one Global Admin is no use to another, nor to a person without the role', async () => {
  const [admin, sam, tess] = [await people.admin('named'), await staff(), await staff('tess')];
  const nobody = await people.enter('vendor', 'nobody', ['user']);
  await grant(admin, 'named', { userId: 'sam' });
  const support = await people.support(sam, 'sam', 'named');
  expect(await refusal(people.support(tess, 'tess', 'named'))).toBe(403);
  expect(await refusal(people.support(nobody, 'nobody', 'named'))).toBe(403);
  // nor does a support session open another one
  expect(await refusal(people.support(support, 'sam', 'named'))).toBe(403);
}, 240_000);

it(`${SIGN_INS} support sign-ins racing ${GRANTS} grants and revokes: nobody is left alive`, async ({ annotate }) => {
  const admin = await people.admin('racing');
  const crew = await Promise.all(Array.from({ length: 4 }, (_, n) => staff(`staff-${n}`)));
  const opened: Caller[] = [];
  let [refused, isOver] = [0, false];
  const signInsUntilOver = async (who: number) => {
    while (!isOver) {
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
  isOver = true;
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

it('the staff member is ended in the vendor’s own organization: the support sessions die in every customer’s', async () => {
  const vendorAdmin = await people.admin('vendor');
  const [sam, tess] = [await staff(), await staff('tess')];
  const customers = ['first', 'second'];
  for (const customer of customers) await grant(await people.admin(customer), customer);
  const supports = await Promise.all(customers.map((customer) => people.support(sam, 'sam', customer)));
  const other = await people.support(tess, 'tess', 'first');
  expect(await people.survivors(supports.map(({ device }) => device))).toHaveLength(2);
  await people.terminate(vendorAdmin, 'vendor', 'users/sam/sessions');
  // here at once, at the Auth Module as soon as it confirmed
  for (const [n, support] of supports.entries())
    expect(await reads(support, customers[n]!)).toEqual([401, 'session-ended']);
  for (const { device } of supports)
    await eventually(
      () => people.refresh(device),
      (alive) => !alive,
      60_000,
    );
  expect(await people.survivors([other.device, tess.device])).toHaveLength(2);
}, 240_000);

it('a support session of which no event ever told is found by its grant', async () => {
  const [admin, sam] = [await people.admin('untold'), await staff()];
  const given = await grant(admin, 'untold');
  stack.gate.handle = losing((event) => event.type === 'session.started');
  const support = await people.support(sam, 'sam', 'untold');
  stack.gate.open();
  await stack.database.query(`delete from sessions where organization_id = 'untold' and user_id = 'sam'`);
  await revoke(admin, given);
  await cleared(admin, given);
  expect(await people.refresh(support.device)).toBe(false);
}, 240_000);

it('a grant that ends between the check and the start: the sign-in is refused, and leaves nothing behind', async () => {
  const [admin, sam] = [await people.admin('between'), await staff()];
  const given = await grant(admin, 'between');
  stack.gate.handle = async ({ path: called, forward }) => {
    const answer = await forward();
    if (called === '/v1/support-access/check') await revoke(admin, given);
    return answer;
  };
  expect(await refusal(people.support(sam, 'sam', 'between'))).toBe(403);
  stack.gate.open();
  await cleared(admin, given);
  expect(
    (await stack.authDatabase.query(`select 1 from auth_chains where organization_id = 'between' and user_id = 'sam'`))
      .rows,
  ).toEqual([]);
  expect(await people.refresh(sam.device)).toBe(true);
}, 240_000);
