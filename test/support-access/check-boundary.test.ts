import { randomUUID } from 'node:crypto';
import { expect, it } from 'vitest';
import { call, tokens } from '../harness/client.ts';
import { useStack } from '../harness/stack.ts';

// without a worker nobody ends the grant: the statement alone decides
const stack = useStack({ worker: false });

it('at the very instant at which a grant ends it is expired', async () => {
  const [id, organizationId] = [randomUUID(), 'boundary'];
  const instant = new Date(Date.now() + 60_000).toISOString();
  const { query } = stack.database;
  await query('insert into organizations (id) values ($1)', [organizationId]);
  await query(
    `insert into support_access_grants (id, organization_id, created_by, created_at, activate_before, starts_at, expires_at, progress_at, next_look_at, dispatch_after)
     values ($1, $2, '{"kind":"machine","id":"settings","sessionId":null,"supportAccessGrantId":null}', now(), now(), now() - interval '1 minute', $3, now(), now(), now())`,
    [id, organizationId, instant],
  );
  const token = await tokens(stack.issuer).machine('support-access:check');
  const askAt = async (at: string) => {
    await query(
      `create or replace function current_instant() returns timestamptz language sql volatile as $$ select '${at}'::timestamptz $$`,
    );
    const body = { organizationId, userId: 'staff', role: 'global_admin' };
    return (await call(stack, 'POST', '/v1/support-access/check', { token, body })).body;
  };
  const before = new Date(Date.parse(instant) - 1).toISOString();
  expect(await askAt(before)).toMatchObject({ decision: 'allow', grantId: id, notAfter: instant, maxAgeSeconds: 0 });
  expect(await askAt(instant)).toMatchObject({ decision: 'deny', reason: 'expired', grantId: id, notAfter: null });
});
