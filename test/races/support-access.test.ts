import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import type { SessionView } from '../../src/rules/session.ts';
import { eventually } from '../harness/client.ts';
import { losing } from '../harness/event-gate.ts';
import { useReferenceStack } from '../harness/reference-stack.ts';
import { usePeople } from './people.ts';
import { inSeconds, refusal, useSupport } from './support.ts';

const stack = useReferenceStack({ environment: { GRANT_MIN_SECONDS: '1' } });
const people = usePeople(stack);
const { path, staff, grant, revoke, cleared, reads } = useSupport(stack);

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
