import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { expect, it, onTestFinished } from 'vitest';
import { call, eventually, tokens } from '../harness/client.ts';
import { useStack } from '../harness/stack.ts';
import { plantGrant } from './planted-organization.ts';

const stack = useStack({ worker: false });

const post = (organizationId: string, token: string, key: string) =>
  call(stack, 'POST', `/v1/organizations/${organizationId}/users/grace/sessions/terminate`, {
    token,
    body: {},
    headers: { prefer: 'respond-async', 'idempotency-key': key },
  });
const decisions = (organizationId: string) =>
  stack.database.query(`select 1 from audit_events where organization_id = $1 and action like 'termination.%'`, [
    organizationId,
  ]);
/** Requests of this service that wait for a lock. */
const waiting = async () =>
  (
    await stack.database.query(
      `select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and application_name like 'session-management-api%'`,
    )
  ).length;

/** A transaction of the test's own. */
async function beginTransaction(): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: stack.database.url });
  await client.connect();
  onTestFinished(() => client.end());
  await client.query('begin');
  return client;
}

it('a request whose reservation was taken over after 60 s decides nothing, though it was never told to stop', async () => {
  const [key, org] = [randomUUID(), 'taken-over'];
  const token = await stack.issuer.token({
    sub: 'admin',
    roles: ['org_admin'],
    org_id: org,
    sid: 'x',
    auth_time: Math.floor(Date.now() / 1_000) + 3_600,
  });
  const lock = await beginTransaction();
  const scope = JSON.stringify(['termination', org, 'user', 'grace']);
  await lock.query('select pg_advisory_xact_lock(hashtextextended($1, 0))', [scope]);
  const first = post(org, token, key);
  await eventually(waiting, (n) => n === 1);
  await stack.database.moveClock(61_000);
  const second = post(org, token, key);
  await eventually(waiting, (n) => n === 2);
  await lock.query('commit');
  const [of, taken] = await Promise.all([first, second]);
  expect([of.status, of.body['code']]).toEqual([409, 'idempotency-key-in-use']);
  expect(taken.status).toBe(202);
  expect(await decisions(org)).toHaveLength(1);
  const again = await post(org, token, key);
  expect([again.headers.get('idempotent-replayed'), again.body['id']]).toEqual(['true', taken.body['id']]);
  await stack.database.moveClock(-61_000);
});

it('a 403 of the decision itself is not kept: refused, then permitted, the same key decides', async () => {
  const [key, org] = [randomUUID(), 'permitted-later'];
  const token = await tokens(stack.issuer).globalAdmin();
  const grantId = await plantGrant(stack, org);
  const revocation = await beginTransaction();
  await revocation.query(
    `update support_access_grants set access_ended_at = current_instant(), end_reason = 'revoked', ended_by = created_by where id = $1`,
    [grantId],
  );
  // let in by the grant as it is committed, and refused by the one that the decision waits for
  const asked = post(org, token, key);
  await eventually(waiting, (n) => n === 1);
  await revocation.query('commit');
  const refused = await asked;
  expect([refused.status, refused.body['code']]).toEqual([403, 'support-access-required']);
  expect(await decisions(org)).toEqual([]);
  await plantGrant(stack, org);
  const decided = await post(org, token, key);
  expect([decided.status, decided.headers.get('idempotent-replayed')]).toEqual([202, null]);
  expect(await decisions(org)).toHaveLength(1);
});
