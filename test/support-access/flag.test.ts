import { expect, it } from 'vitest';
import type { SupportAccessFlag } from '../../src/rules/support-access-grant.ts';
import { call, tokens } from '../harness/client.ts';
import { useStack } from '../harness/stack.ts';
import { days, inMs, minutes, useGrants } from './use-grants.ts';

const stack = useStack({ environment: { GRANT_MAX_SECONDS: '7776000' } });
const grants = useGrants(stack);
const off: SupportAccessFlag = { allowed: false, allowUntil: null, timeZone: null, grantId: null, liveGrants: 0 };
const put = (organization: string, body: unknown) =>
  grants.ask<SupportAccessFlag & { code: string; errors: { pointer: string }[] }>(
    'PUT',
    organization,
    'support-access',
    body,
  );
const tomorrow = () => inMs(days(2)).slice(0, 10);

it('the flag is set, moved and cleared, and is a grant like any other', async () => {
  expect(await grants.flag('flag')).toEqual(off);
  const until = inMs(days(1));
  const set = await put('flag', { allowUntil: until });
  expect(set.body).toEqual({
    allowed: true,
    allowUntil: until,
    timeZone: null,
    grantId: expect.any(String),
    liveGrants: 1,
  });
  const moved = await put('flag', { allowUntil: inMs(days(2)), timeZone: 'Europe/Zurich' });
  expect(moved.body).toMatchObject({ grantId: set.body.grantId, timeZone: 'Europe/Zurich', liveGrants: 1 });
  expect(await grants.check('flag')).toMatchObject({ decision: 'allow', grantId: set.body.grantId });
  const cleared = await grants.ask<SupportAccessFlag>('DELETE', 'flag', 'support-access');
  expect([cleared.status, cleared.body]).toEqual([200, off]);
  expect(await grants.check('flag')).toMatchObject({ decision: 'deny', reason: 'revoked' });
  expect((await put('flag', { allowUntil: until })).body.grantId).not.toBe(set.body.grantId);
});

it('a date means to the end of that day in its zone', async () => {
  const date = tomorrow();
  const zurich = await put('dates', { allowUntil: date, timeZone: 'Europe/Zurich' });
  expect(zurich.status, zurich.text).toBe(200);
  const shown = new Intl.DateTimeFormat('sv-SE', {
    timeZone: 'Europe/Zurich',
    dateStyle: 'short',
    timeStyle: 'medium',
  }).format(Date.parse(zurich.body.allowUntil ?? '') - 1);
  expect(shown).toBe(`${date} 23:59:59`);
  const kiritimati = await put('dates', { allowUntil: date, timeZone: 'Pacific/Kiritimati' });
  expect(Date.parse(zurich.body.allowUntil ?? '')).toBeGreaterThan(Date.parse(kiritimati.body.allowUntil ?? ''));
});

it.each([
  ['a date without its zone', { allowUntil: tomorrow() }, '/timeZone'],
  ['an unknown zone', { allowUntil: tomorrow(), timeZone: 'Mars/Olympus' }, '/timeZone'],
  ['an offset for a zone', { allowUntil: tomorrow(), timeZone: '+01:00' }, '/timeZone'],
  ['an unknown zone beside an instant', { allowUntil: inMs(days(1)), timeZone: 'Nowhere' }, '/timeZone'],
  ['31 February', { allowUntil: '2027-02-31', timeZone: 'UTC' }, '/allowUntil'],
  ['an instant without offset', { allowUntil: '2027-01-01T00:00:00' }, '/allowUntil'],
  ['nothing', {}, '/allowUntil'],
])('%s is refused, and nothing is changed', async (_, body, pointer) => {
  const answer = await put('refused', body);
  expect([answer.status, answer.body.code]).toEqual([422, 'validation-failed']);
  expect(answer.body.errors.map((error) => error.pointer)).toContain(pointer);
  expect(await grants.flag('refused')).toEqual(off);
});

it('a day that is too far or over is out of bounds', async () => {
  for (const allowUntil of [inMs(days(120)).slice(0, 10), inMs(-days(3)).slice(0, 10)]) {
    expect((await put('bounds', { allowUntil, timeZone: 'UTC' })).body).toMatchObject({
      code: 'expiry-out-of-bounds',
      bounds: {},
    });
  }
});

it('clearing the flag ends every live grant, named ones too, each with its audit', async () => {
  const ids = [];
  for (const userId of ['ada', 'bob', null]) ids.push((await grants.create('all', { userId })).id);
  expect(await grants.flag('all')).toMatchObject({ allowed: true, liveGrants: 3, grantId: ids[2] });
  expect((await grants.ask('DELETE', 'all', 'support-access')).body).toEqual(off);
  const revoked = (await grants.audit('all')).filter(({ action }) => action === 'support-access.revoked');
  expect(revoked).toHaveLength(3);
  expect((await grants.ask('DELETE', 'all', 'support-access')).status).toBe(200);
});

it('where only named grants live, access is allowed and has no date of its own', async () => {
  await grants.create('only-named', { userId: 'ada' });
  expect(await grants.flag('only-named')).toEqual({ ...off, allowed: true, liveGrants: 1 });
});

it('a Global Admin may clear it, which ends the own right too, and is answered', async () => {
  await grants.create('leaving');
  const token = await tokens(stack.issuer).globalAdmin();
  const cleared = await call(stack, 'DELETE', grants.path('leaving', 'support-access'), { token });
  expect([cleared.status, cleared.body]).toEqual([200, off]);
  expect((await call(stack, 'DELETE', grants.path('leaving', 'support-access'), { token })).status).toBe(403);
});

it('set by many at once there is one grant, and every one of them is answered', async () => {
  const answers = await Promise.all(
    Array.from({ length: 8 }, (_, n) => put('crowd', { allowUntil: inMs(minutes(60 + n)) })),
  );
  expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 8 }, () => 200));
  expect(new Set(answers.map(({ body }) => body.grantId)).size).toBe(1);
  expect((await grants.flag('crowd')).liveGrants).toBe(1);
});
