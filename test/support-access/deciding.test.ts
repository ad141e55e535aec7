import { randomUUID } from 'node:crypto';
import { expect, it } from 'vitest';
import { call, tokens } from '../harness/client.ts';
import { report, started } from '../harness/events.ts';
import { useStack } from '../harness/stack.ts';
import { days, inMs, minutes, useGrants } from './use-grants.ts';

const stack = useStack();
const grants = useGrants(stack);
const rowsOf = (organization: string) => stack.database.query<{ n: number }>('select count(*)::int as n from support_access_grants where organization_id = $1', [organization]).then(([found]) => found?.n);

it.each([
  ['no end', { userId: null }, 'validation-failed', '/expiresAt'],
  ['an end without offset', { userId: null, expiresAt: '2027-01-01T00:00:00' }, 'validation-failed', '/expiresAt'],
  ['31 February', { userId: null, expiresAt: '2027-02-31T00:00:00Z' }, 'validation-failed', '/expiresAt'],
  ['an end that is null', { userId: null, expiresAt: null }, 'validation-failed', '/expiresAt'],
  ['an end in the past', { userId: null, expiresAt: inMs(-1_000) }, 'expiry-out-of-bounds', undefined],
  ['an end too soon', { userId: null, expiresAt: inMs(minutes(4)) }, 'expiry-out-of-bounds', undefined],
  ['an end too far', { userId: null, expiresAt: inMs(days(30) + minutes(1)) }, 'expiry-out-of-bounds', undefined],
  ['no userId', { expiresAt: inMs(minutes(60)) }, 'validation-failed', '/userId'],
  ['an empty userId', { userId: '', expiresAt: inMs(minutes(60)) }, 'validation-failed', '/userId'],
  ['oneself', { userId: 'admin', expiresAt: inMs(minutes(60)) }, 'validation-failed', '/userId'],
  ['a reason too long', { userId: null, expiresAt: inMs(minutes(60)), reason: 'x'.repeat(501) }, 'validation-failed', '/reason'],
  ['an unknown field', { userId: null, expiresAt: inMs(minutes(60)), forever: true }, 'validation-failed', undefined],
])('a grant with %s is refused by its own error, and nothing is changed', async (name, body, code, pointer) => {
  const organization = `bad ${name}`;
  const answer = await grants.ask<{ code: string; bounds?: { min: string; max: string }; errors?: { pointer: string }[] }>('POST', organization, 'support-access-grants', body);
  expect(answer.status).toBe(422);
  expect(answer.body.code).toBe(code);
  if (code === 'expiry-out-of-bounds') expect(Date.parse(answer.body.bounds?.max ?? '') - Date.parse(answer.body.bounds?.min ?? '')).toBe(days(30) - minutes(5));
  if (pointer !== undefined) expect(answer.body.errors?.map((error) => error.pointer)).toContain(pointer);
  expect(await rowsOf(organization)).toBe(0);
});

it('a grant is answered with its place, tag and everything the customer should see', async () => {
  const expiresAt = inMs(days(1));
  const answer = await grants.ask('POST', 'shape', 'support-access-grants', { userId: 'ada', expiresAt: expiresAt.replace('Z', '+00:00'), reason: 'ticket 42' });
  expect(answer.status).toBe(201);
  expect(answer.headers.get('location')).toBe(`/v1/organizations/shape/support-access-grants/${answer.body.id}`);
  expect(answer.headers.get('etag')).toBe('"1"');
  expect(answer.body).toEqual({
    id: expect.any(String), organizationId: 'shape', userId: 'ada', status: 'active', endReason: null, reason: 'ticket 42',
    createdBy: { kind: 'org-admin', id: 'admin', sessionId: 'sid-of-admin', supportAccessGrantId: null },
    createdAt: expect.any(String), startsAt: expect.any(String), expiresAt, revision: 1, accessEndedAt: null, sessionsClearedAt: null, endedBy: null, stalled: false, sessions: { total: 0, cleared: 0 },
  });
  expect(await grants.read(answer.body)).toEqual(answer.body);
  expect((await grants.ask<{ items: unknown[] }>('GET', 'shape', 'support-access-grants')).body.items).toEqual([answer.body]);
  expect(await grants.audit('shape')).toMatchObject([{ action: 'support-access.granted', reason: 'ticket 42', actor: { kind: 'org-admin', id: 'admin' }, details: { userId: 'ada', expiresAt } }]);
});

it('grants are listed newest first, page by page, with those that ended', async () => {
  const created = [];
  for (const userId of ['a', 'b', 'c']) created.unshift(await grants.create('list', { userId }));
  await grants.revoke(created[2] as { id: string; organizationId: string });
  const first = (await grants.ask<{ items: { id: string }[]; nextCursor: string }>('GET', 'list', 'support-access-grants?limit=2')).body;
  const second = (await grants.ask<{ items: { id: string }[]; nextCursor: null }>('GET', 'list', `support-access-grants?limit=2&cursor=${encodeURIComponent(first.nextCursor)}`)).body;
  expect([...first.items, ...second.items].map(({ id }) => id)).toEqual(created.map(({ id }) => id));
  expect(second.nextCursor).toBeNull();
});

it('over a live grant for the same nothing is created, and the live one is named', async () => {
  const grant = await grants.create('twice');
  const again = await grants.ask<{ code: string; grantId: string }>('POST', 'twice', 'support-access-grants', { userId: null, expiresAt: inMs(minutes(60)) });
  expect([again.status, again.body.code, again.body.grantId]).toEqual([409, 'grant-exists', grant.id]);
  expect(await rowsOf('twice')).toBe(1);
  expect((await grants.create('twice', { userId: 'ada' })).userId).toBe('ada');
  await grants.revoke(grant);
  expect((await grants.create('twice')).id).not.toBe(grant.id);
});

it('revoking is immediate, and again changes nothing', async () => {
  const grant = await grants.create('revoke');
  const first = await grants.revoke(grant, { reason: 'done' });
  expect(first.body).toMatchObject({ endReason: 'revoked', revision: 2, endedBy: { kind: 'org-admin', id: 'admin' } });
  expect(await grants.check('revoke')).toMatchObject({ decision: 'deny', reason: 'revoked' });
  const ended = await grants.until(grant, 'ended');
  const second = await grants.revoke(grant);
  expect([second.status, second.body]).toEqual([200, ended]);
  expect((await grants.audit('revoke')).filter(({ action }) => action === 'support-access.revoked')).toMatchObject([{ reason: 'done' }]);
});

it('an end is moved later and sooner, within bounds, and only in the revision that was asked for', async () => {
  const grant = await grants.create('change');
  const later = inMs(days(2));
  const changed = await grants.change(grant, later, { 'if-match': '"1"' });
  expect([changed.status, changed.headers.get('etag'), changed.body.expiresAt]).toEqual([200, '"2"', later]);
  expect((await grants.change(grant, later)).body.revision).toBe(2);
  expect((await grants.change(grant, inMs(days(3)), { 'if-match': '"1"' })).body).toMatchObject({ status: 412, code: 'revision-mismatch' });
  const past = await grants.change(grant, inMs(-1));
  expect(past.body).toMatchObject({ code: 'expiry-out-of-bounds', bounds: { min: expect.any(String), max: expect.any(String) } });
  expect((await grants.change(grant, inMs(days(31)))).body).toMatchObject({ code: 'expiry-out-of-bounds' });
  await stack.database.query(`update support_access_grants set created_at = current_instant() - interval '89 days' where id = $1`, [grant.id]);
  expect((await grants.change(grant, inMs(days(1) + minutes(1)))).body).toMatchObject({ code: 'expiry-out-of-bounds' });
  expect((await grants.change(grant, inMs(days(1) - minutes(1)))).status).toBe(200);
  await grants.revoke(grant);
  expect((await grants.change(grant, inMs(minutes(9)))).body).toMatchObject({ status: 409, code: 'grant-ended' });
  expect((await grants.audit('change')).filter(({ action }) => action === 'support-access.changed').at(-1)).toMatchObject({ details: { expiresAt: later, previousExpiresAt: grant.expiresAt } });
});

it('a foreign, malformed or absent id is the same 404, and a grant that never came alive too', async () => {
  const foreign = await grants.create('theirs');
  const [inactive] = await stack.database.query<{ id: string }>(
    `insert into support_access_grants (organization_id, created_by, created_at, activate_before, expires_at, progress_at, next_look_at, dispatch_after)
     values ('theirs', '{}', now(), now() + interval '1 hour', now() + interval '1 hour', now(), now(), now() + interval '1 hour') returning id`,
  );
  const bodies = new Set<string>();
  for (const [organization, id] of [['ours', foreign.id], ['ours', randomUUID()], ['ours', 'nonsense'], ['theirs', inactive?.id]]) {
    for (const [method, rest, body] of [['GET', ''], ['POST', '/revoke', {}], ['PATCH', '', { expiresAt: inMs(minutes(60)) }]] as const) {
      const answer = await grants.ask<{ requestId: string }>(method, organization ?? '', `support-access-grants/${id}${rest}`, body);
      expect(answer.status, `${method} ${id}`).toBe(404);
      bodies.add(answer.text.replace(answer.body.requestId, ''));
    }
  }
  expect(bodies.size).toBe(1);
  expect((await grants.ask<{ items: unknown[] }>('GET', 'theirs', 'support-access-grants')).body.items).toHaveLength(1);
  expect(await grants.read(foreign)).toMatchObject({ status: 'active', revision: 1 });
});

it('a Global Admin acts under a live grant, gives access back, and never takes more of it', async () => {
  const staff = await tokens(stack.issuer).globalAdmin();
  const ask = (method: string, rest: string, body?: unknown) => call<{ code: string; id: string }>(stack, method, grants.path('staffed', rest), { token: staff, body });
  expect((await ask('GET', 'support-access-grants')).body.code).toBe('support-access-required');
  const grant = await grants.create('staffed');
  expect((await ask('GET', 'support-access-grants')).status).toBe(200);
  const more = [['POST', 'support-access-grants', { userId: 'staff', expiresAt: inMs(days(1)) }], ['PATCH', `support-access-grants/${grant.id}`, { expiresAt: inMs(days(1)) }], ['PUT', 'support-access', { allowUntil: inMs(days(1)) }]] as const;
  for (const [method, rest, body] of more) expect((await ask(method, rest, body)).body.code, `${method} ${rest}`).toBe('role-required');
  expect(await grants.read(grant)).toMatchObject({ expiresAt: grant.expiresAt, revision: 1 });
  expect((await ask('POST', `support-access-grants/${grant.id}/revoke`, {})).status).toBe(200);
  expect((await ask('GET', 'support-access-grants')).body.code).toBe('support-access-required');
  expect(await grants.read(grant)).toMatchObject({ endedBy: { kind: 'global-admin', id: 'staff', supportAccessGrantId: grant.id } });
});

it('nobody gives access through a support session, whatever its token says', async () => {
  const grant = await grants.create('nested');
  await report(stack, [started({ organizationId: 'nested', userId: 'staff', sessionId: 'under', supportAccessGrantId: grant.id, parentSession: { organizationId: 'vendor', sessionId: 'x' } })]);
  const asAdmin = { sub: 'staff', roles: ['org_admin'], org_id: 'nested', sid: 'under' };
  const expiresAt = inMs(days(1));
  for (const token of [await stack.issuer.token(asAdmin), await stack.issuer.token({ ...asAdmin, sid: 'unknown', support_access_grant_id: grant.id })]) {
    for (const [method, rest, body] of [['POST', 'support-access-grants', { userId: 'crony', expiresAt }], ['PATCH', `support-access-grants/${grant.id}`, { expiresAt }], ['PUT', 'support-access', { allowUntil: expiresAt }]] as const) {
      expect((await call(stack, method, grants.path('nested', rest), { token, body })).status, `${method} ${rest}`).toBe(403);
    }
  }
  expect(await rowsOf('nested')).toBe(1);
});

it('organization settings may do it by their scope alone, in their organization', async () => {
  const machine = await tokens(stack.issuer).machine('support-access:manage', 'settings');
  const ask = (organization: string, method: string, rest: string, body?: unknown) => call<{ id: string }>(stack, method, grants.path(organization, rest), { token: machine, body });
  const created = await ask('settings', 'POST', 'support-access-grants', { userId: 'ada', expiresAt: inMs(days(1)) });
  expect([created.status, created.body]).toMatchObject([201, { createdBy: { kind: 'machine', id: 'machine' } }]);
  expect((await ask('settings', 'PATCH', `support-access-grants/${created.body.id}`, { expiresAt: inMs(days(2)) })).status).toBe(200);
  expect((await ask('settings', 'PUT', 'support-access', { allowUntil: inMs(days(1)) })).status).toBe(200);
  expect((await ask('settings', 'POST', `support-access-grants/${created.body.id}/revoke`, {})).status).toBe(200);
  expect((await ask('other', 'PUT', 'support-access', { allowUntil: inMs(days(1)) })).status).toBe(403);
  expect((await ask('settings', 'GET', 'audit-events')).status).toBe(403);
});

it('the same Idempotency-Key creates one grant and shows it as it was answered', async () => {
  const [body, headers] = [{ userId: null, expiresAt: inMs(days(1)) }, { 'idempotency-key': randomUUID() }];
  const first = await grants.ask('POST', 'keyed', 'support-access-grants', body, headers);
  const second = await grants.ask('POST', 'keyed', 'support-access-grants', body, headers);
  expect([second.status, second.headers.get('idempotent-replayed'), second.body]).toEqual([201, 'true', first.body]);
  expect(await rowsOf('keyed')).toBe(1);
  const revoked = { 'idempotency-key': randomUUID() };
  const path = `support-access-grants/${first.body.id}/revoke`;
  const [a, b] = [await grants.ask('POST', 'keyed', path, {}, revoked), await grants.ask('POST', 'keyed', path, {}, revoked)];
  expect([a.status, b.status, b.headers.get('idempotent-replayed')]).toEqual([200, 200, 'true']);
});
