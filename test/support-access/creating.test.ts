import { randomUUID } from 'node:crypto';
import { expect, it } from 'vitest';
import { useStack } from '../harness/stack.ts';
import { days, inMs, minutes, useGrants } from './use-grants.ts';

const stack = useStack();
const grants = useGrants(stack);
const rowsOf = (organization: string) =>
  stack.database
    .query<{ n: number }>(
      'select count(*)::int as n from support_access_grants where organization_id = $1 and voided_at is null',
      [organization],
    )
    .then(([found]) => found?.n);

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
  [
    'a reason too long',
    { userId: null, expiresAt: inMs(minutes(60)), reason: 'x'.repeat(501) },
    'validation-failed',
    '/reason',
  ],
  ['an unknown field', { userId: null, expiresAt: inMs(minutes(60)), forever: true }, 'validation-failed', undefined],
])('a grant with %s is refused by its own error, and nothing is changed', async (name, body, code, pointer) => {
  const organization = `bad ${name}`;
  const answer = await grants.ask<{
    code: string;
    bounds?: { min: string; max: string };
    errors?: { pointer: string }[];
  }>('POST', organization, 'support-access-grants', body);
  expect(answer.status).toBe(422);
  expect(answer.body.code).toBe(code);
  if (code === 'expiry-out-of-bounds')
    expect(Date.parse(answer.body.bounds?.max ?? '') - Date.parse(answer.body.bounds?.min ?? '')).toBe(
      days(30) - minutes(5),
    );
  if (pointer !== undefined) expect(answer.body.errors?.map((error) => error.pointer)).toContain(pointer);
  expect(await rowsOf(organization)).toBe(0);
});

it('a grant is answered with its place, tag and everything the customer should see', async () => {
  const expiresAt = inMs(days(1));
  const answer = await grants.ask('POST', 'shape', 'support-access-grants', {
    userId: 'ada',
    expiresAt: expiresAt.replace('Z', '+00:00'),
    reason: 'ticket 42',
  });
  expect(answer.status).toBe(201);
  expect(answer.headers.get('location')).toBe(`/v1/organizations/shape/support-access-grants/${answer.body.id}`);
  expect(answer.headers.get('etag')).toBe('"1"');
  expect(answer.body).toEqual({
    id: expect.any(String),
    organizationId: 'shape',
    userId: 'ada',
    status: 'active',
    endReason: null,
    reason: 'ticket 42',
    createdBy: { kind: 'org-admin', id: 'admin', sessionId: 'sid-of-admin', supportAccessGrantId: null },
    createdAt: expect.any(String),
    startsAt: expect.any(String),
    expiresAt,
    revision: 1,
    accessEndedAt: null,
    sessionsClearedAt: null,
    endedBy: null,
    stalled: false,
    sessions: { total: 0, cleared: 0 },
  });
  expect(await grants.read(answer.body)).toEqual(answer.body);
  expect((await grants.ask<{ items: unknown[] }>('GET', 'shape', 'support-access-grants')).body.items).toEqual([
    answer.body,
  ]);
  expect(await grants.audit('shape')).toMatchObject([
    {
      action: 'support-access.granted',
      reason: 'ticket 42',
      actor: { kind: 'org-admin', id: 'admin' },
      details: { userId: 'ada', expiresAt },
    },
  ]);
});

it('grants are listed newest first, page by page, with those that ended', async () => {
  const created = [];
  for (const userId of ['a', 'b', 'c']) created.unshift(await grants.create('list', { userId }));
  await grants.revoke(created[2] as { id: string; organizationId: string });
  const first = (
    await grants.ask<{ items: { id: string }[]; nextCursor: string }>('GET', 'list', 'support-access-grants?limit=2')
  ).body;
  const second = (
    await grants.ask<{ items: { id: string }[]; nextCursor: null }>(
      'GET',
      'list',
      `support-access-grants?limit=2&cursor=${encodeURIComponent(first.nextCursor)}`,
    )
  ).body;
  expect([...first.items, ...second.items].map(({ id }) => id)).toEqual(created.map(({ id }) => id));
  expect(second.nextCursor).toBeNull();
});

it('over a live grant for the same nothing is created, and the live one is named', async () => {
  const grant = await grants.create('twice');
  const again = await grants.ask<{ code: string; grantId: string }>('POST', 'twice', 'support-access-grants', {
    userId: null,
    expiresAt: inMs(minutes(60)),
  });
  expect([again.status, again.body.code, again.body.grantId]).toEqual([409, 'grant-exists', grant.id]);
  expect(await rowsOf('twice')).toBe(1);
  expect((await grants.create('twice', { userId: 'ada' })).userId).toBe('ada');
  await grants.revoke(grant);
  expect((await grants.create('twice')).id).not.toBe(grant.id);
});

it('the same Idempotency-Key creates one grant and shows it as it was answered', async () => {
  const [body, headers] = [{ userId: null, expiresAt: inMs(days(1)) }, { 'idempotency-key': randomUUID() }];
  const first = await grants.ask('POST', 'keyed', 'support-access-grants', body, headers);
  const second = await grants.ask('POST', 'keyed', 'support-access-grants', body, headers);
  expect([second.status, second.headers.get('idempotent-replayed'), second.body]).toEqual([201, 'true', first.body]);
  expect(await rowsOf('keyed')).toBe(1);
  const revoked = { 'idempotency-key': randomUUID() };
  const path = `support-access-grants/${first.body.id}/revoke`;
  const [a, b] = [
    await grants.ask('POST', 'keyed', path, {}, revoked),
    await grants.ask('POST', 'keyed', path, {}, revoked),
  ];
  expect([a.status, b.status, b.headers.get('idempotent-replayed')]).toEqual([200, 200, 'true']);
});
