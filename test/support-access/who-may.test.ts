import { expect, it } from 'vitest';
import { call, tokens } from '../harness/client.ts';
import { report, started } from '../harness/events.ts';
import { useStack } from '../harness/stack.ts';
import { days, inMs, useGrants } from './use-grants.ts';

const stack = useStack();
const grants = useGrants(stack);
const rowsOf = (organization: string) =>
  stack.database
    .query<{ n: number }>(
      'select count(*)::int as n from support_access_grants where organization_id = $1 and voided_at is null',
      [organization],
    )
    .then(([found]) => found?.n);

it('a Global Admin acts under a live grant, gives access back, and never takes more of it', async () => {
  const staff = await tokens(stack.issuer).globalAdmin();
  const ask = (method: string, rest: string, body?: unknown) =>
    call<{ code: string; id: string }>(stack, method, grants.path('staffed', rest), { token: staff, body });
  expect((await ask('GET', 'support-access-grants')).body.code).toBe('support-access-required');
  const grant = await grants.create('staffed');
  expect((await ask('GET', 'support-access-grants')).status).toBe(200);
  const more = [
    ['POST', 'support-access-grants', { userId: 'staff', expiresAt: inMs(days(1)) }],
    ['PATCH', `support-access-grants/${grant.id}`, { expiresAt: inMs(days(1)) }],
    ['PUT', 'support-access', { allowUntil: inMs(days(1)) }],
  ] as const;
  for (const [method, rest, body] of more)
    expect((await ask(method, rest, body)).body.code, `${method} ${rest}`).toBe('support-access-required');
  expect(await grants.read(grant)).toMatchObject({ expiresAt: grant.expiresAt, revision: 1 });
  expect((await ask('POST', `support-access-grants/${grant.id}/revoke`, {})).status).toBe(200);
  expect((await ask('GET', 'support-access-grants')).body.code).toBe('support-access-required');
  expect(await grants.read(grant)).toMatchObject({
    endedBy: { kind: 'global-admin', id: 'staff', supportAccessGrantId: grant.id },
  });
});

it('nobody gives access through a support session, whatever its token says', async () => {
  const grant = await grants.create('nested');
  await report(stack, [
    started({
      organizationId: 'nested',
      userId: 'staff',
      sessionId: 'under',
      supportAccessGrantId: grant.id,
      parentSession: { organizationId: 'vendor', sessionId: 'x' },
    }),
  ]);
  const asAdmin = { sub: 'staff', roles: ['org_admin'], org_id: 'nested', sid: 'under' };
  const expiresAt = inMs(days(1));
  for (const token of [
    await stack.issuer.token(asAdmin),
    await stack.issuer.token({ ...asAdmin, sid: 'unknown', support_access_grant_id: grant.id }),
  ]) {
    for (const [method, rest, body] of [
      ['POST', 'support-access-grants', { userId: 'crony', expiresAt }],
      ['PATCH', `support-access-grants/${grant.id}`, { expiresAt }],
      ['PUT', 'support-access', { allowUntil: expiresAt }],
    ] as const) {
      expect(
        (await call(stack, method, grants.path('nested', rest), { token, body })).status,
        `${method} ${rest}`,
      ).toBe(403);
    }
  }
  expect(await rowsOf('nested')).toBe(1);
});

it('organization settings may do it by their scope alone, in their organization', async () => {
  const machine = await tokens(stack.issuer).machine('support-access:manage', 'settings');
  const ask = (organization: string, method: string, rest: string, body?: unknown) =>
    call<{ id: string }>(stack, method, grants.path(organization, rest), { token: machine, body });
  const created = await ask('settings', 'POST', 'support-access-grants', { userId: 'ada', expiresAt: inMs(days(1)) });
  expect([created.status, created.body]).toMatchObject([201, { createdBy: { kind: 'machine', id: 'machine' } }]);
  expect(
    (await ask('settings', 'PATCH', `support-access-grants/${created.body.id}`, { expiresAt: inMs(days(2)) })).status,
  ).toBe(200);
  expect((await ask('settings', 'PUT', 'support-access', { allowUntil: inMs(days(1)) })).status).toBe(200);
  expect((await ask('settings', 'POST', `support-access-grants/${created.body.id}/revoke`, {})).status).toBe(200);
  expect((await ask('other', 'PUT', 'support-access', { allowUntil: inMs(days(1)) })).status).toBe(403);
  expect((await ask('settings', 'GET', 'audit-events')).status).toBe(403);
});

it('a Global Admin’s incident button spares nobody here for having a session of the same id as theirs at home', async () => {
  await grants.create('collide');
  await report(stack, [started({ organizationId: 'collide', userId: 'eve', sessionId: 'same-id' })]);
  const token = await tokens(stack.issuer).globalAdmin({ sid: 'same-id' });
  const list = async () =>
    (
      await call<{ items: { id: string; current: boolean }[] }>(
        stack,
        'GET',
        grants.path('collide', 'users/eve/sessions'),
        { token },
      )
    ).body.items;
  expect(await list()).toMatchObject([{ id: 'same-id', current: false }]);
  const ended = await call(stack, 'POST', grants.path('collide', 'sessions/terminate'), { token, body: {} });
  expect([200, 202]).toContain(ended.status);
  expect(await list()).toEqual([]);
});
