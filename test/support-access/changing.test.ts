import { randomUUID } from 'node:crypto';
import { expect, it } from 'vitest';
import { useStack } from '../harness/stack.ts';
import { days, inMs, minutes, useGrants } from './use-grants.ts';

const stack = useStack();
const grants = useGrants(stack);

it('revoking is immediate, and again changes nothing', async () => {
  const grant = await grants.create('revoke');
  const first = await grants.revoke(grant, { reason: 'done' });
  expect(first.body).toMatchObject({ endReason: 'revoked', revision: 2, endedBy: { kind: 'org-admin', id: 'admin' } });
  expect(await grants.check('revoke')).toMatchObject({ decision: 'deny', reason: 'revoked' });
  const ended = await grants.until(grant, 'ended');
  const second = await grants.revoke(grant);
  expect([second.status, second.body]).toEqual([200, ended]);
  expect((await grants.audit('revoke')).filter(({ action }) => action === 'support-access.revoked')).toMatchObject([
    { reason: 'done' },
  ]);
});

it('an end is moved later and sooner, within bounds, and only in the revision that was asked for', async () => {
  const grant = await grants.create('change');
  const later = inMs(days(2));
  const changed = await grants.change(grant, later, { 'if-match': '"1"' });
  expect([changed.status, changed.headers.get('etag'), changed.body.expiresAt]).toEqual([200, '"2"', later]);
  expect((await grants.change(grant, later)).body.revision).toBe(2);
  expect((await grants.change(grant, inMs(days(3)), { 'if-match': '"1"' })).body).toMatchObject({
    status: 412,
    code: 'revision-mismatch',
  });
  const past = await grants.change(grant, inMs(-1));
  expect(past.body).toMatchObject({
    code: 'expiry-out-of-bounds',
    bounds: { min: expect.any(String), max: expect.any(String) },
  });
  expect((await grants.change(grant, inMs(days(31)))).body).toMatchObject({ code: 'expiry-out-of-bounds' });
  await stack.database.query(
    `update support_access_grants set created_at = current_instant() - interval '89 days' where id = $1`,
    [grant.id],
  );
  expect((await grants.change(grant, inMs(days(1) + minutes(1)))).body).toMatchObject({ code: 'expiry-out-of-bounds' });
  expect((await grants.change(grant, inMs(days(1) - minutes(1)))).status).toBe(200);
  await grants.revoke(grant);
  expect((await grants.change(grant, inMs(minutes(9)))).body).toMatchObject({ status: 409, code: 'grant-ended' });
  expect(
    (await grants.audit('change')).filter(({ action }) => action === 'support-access.changed').at(-1),
  ).toMatchObject({ details: { expiresAt: later, previousExpiresAt: grant.expiresAt } });
});

it('a foreign, malformed or absent id is the same 404, and a grant that never came alive too', async () => {
  const foreign = await grants.create('theirs');
  const [inactive] = await stack.database.query<{ id: string }>(
    `insert into support_access_grants (organization_id, created_by, created_at, activate_before, expires_at, progress_at, next_look_at, dispatch_after)
     values ('theirs', '{}', now(), now() + interval '1 hour', now() + interval '1 hour', now(), now(), now() + interval '1 hour') returning id`,
  );
  const bodies = new Set<string>();
  for (const [organization, id] of [
    ['ours', foreign.id],
    ['ours', randomUUID()],
    ['ours', 'nonsense'],
    ['theirs', inactive?.id],
  ]) {
    for (const [method, rest, body] of [
      ['GET', ''],
      ['POST', '/revoke', {}],
      ['PATCH', '', { expiresAt: inMs(minutes(60)) }],
    ] as const) {
      const answer = await grants.ask<{ requestId: string }>(
        method,
        organization ?? '',
        `support-access-grants/${id}${rest}`,
        body,
      );
      expect(answer.status, `${method} ${id}`).toBe(404);
      bodies.add(answer.text.replace(answer.body.requestId, ''));
    }
  }
  expect(bodies.size).toBe(1);
  expect((await grants.ask<{ items: unknown[] }>('GET', 'theirs', 'support-access-grants')).body.items).toHaveLength(1);
  expect(await grants.read(foreign)).toMatchObject({ status: 'active', revision: 1 });
});
