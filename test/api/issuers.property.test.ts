import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { call, tokens } from '../harness/client.ts';
import { report, started } from '../harness/events.ts';
import type { Issuer } from '../harness/issuer.ts';
import { plantGrant } from './planted-organization.ts';
import { admin, customerOrganization, useIssuers } from './use-issuers.ts';

const writesPerMinute = 6;
const issuers = useIssuers({ WRITES_PER_MINUTE: String(writesPerMinute) });
const { stack } = issuers;

/** Ids that try to look like another issuer's caller, however the two are joined. */
const subject = fc.constantFrom(
  'ada',
  'org-admin:ada',
  'http://127.0.0.1',
  '["ada"]',
  '"ada"]',
  'ada","x',
  'machine:ada',
  '\\',
);
const caller = fc.record({ from: fc.constantFrom('short form' as const, 'other' as const), sub: subject });
const issuerOf = (from: 'short form' | 'other'): Issuer => (from === 'other' ? issuers.other : stack.issuer);

const end = async (organization: string, token: string, headers: Record<string, string> = {}) =>
  call<{ id: string }>(stack, 'POST', `/v1/organizations/${organization}/users/${randomUUID()}/sessions/terminate`, {
    token,
    headers: { prefer: 'respond-async', ...headers },
  });

it('an idempotency key is its caller’s own, and the audit tells whose issuer, whatever subjects two issuers share', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(caller, { minLength: 2, maxLength: 6 }), async (callers) => {
      const [organization, key, path] = [randomUUID(), randomUUID(), randomUUID()];
      const seen = new Map<string, string>();
      for (const { from, sub } of callers) {
        const token = await issuerOf(from).token(admin(organization, { sub }));
        const url = `/v1/organizations/${organization}/users/${path}/sessions/terminate`;
        const answer = await call<{ id: string }>(stack, 'POST', url, {
          token,
          headers: { prefer: 'respond-async', 'idempotency-key': key },
        });
        const who = JSON.stringify([from, sub]);
        const first = seen.get(who);
        expect([answer.status, answer.headers.get('idempotent-replayed')]).toEqual([
          202,
          first === undefined ? null : 'true',
        ]);
        seen.set(who, answer.body.id);
      }
      const token = await stack.issuer.token(admin(organization, { sub: 'reader' }));
      const { body } = await call<{ items: { actor: { id: string }; details: { issuer: string } }[] }>(
        stack,
        'GET',
        `/v1/organizations/${organization}/audit-events`,
        { token },
      );
      const told = body.items.map(({ actor, details }) => JSON.stringify([details.issuer, actor.id]));
      const did = [...seen.keys()].map((who) => {
        const [from, sub] = JSON.parse(who) as ['short form' | 'other', string];
        return JSON.stringify([issuerOf(from).issuer, sub]);
      });
      expect(told.toSorted()).toEqual(did.toSorted());
    }),
    { numRuns: 40 },
  );
});

it('the writes of one issuer’s caller never use up those of another’s', async () => {
  await fc.assert(
    fc.asyncProperty(subject, fc.boolean(), async (sub, otherFirst) => {
      const organization = randomUUID();
      const pair = await Promise.all(
        [stack.issuer, issuers.other].map((one) => one.token(admin(organization, { sub }))),
      );
      const [greedy, modest] = (otherFirst ? pair.toReversed() : pair) as [string, string];
      for (let n = 0; n < writesPerMinute; n += 1) expect((await end(organization, greedy)).status).toBe(202);
      expect((await end(organization, greedy)).status).toBe(429);
      expect((await end(organization, modest)).status).toBe(202);
    }),
    { numRuns: 15 },
  );
});

it('a session is the caller’s own only in the organization that their token is of, whatever ids two issuers share', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uuid(), fc.uuid(), async (sub, sid) => {
      const grantId = await plantGrant(stack, customerOrganization, { userId: sub });
      await report(stack, [started({ organizationId: customerOrganization, userId: sub, sessionId: sid })]);
      const current = async (token: string) => {
        const path = `/v1/organizations/${customerOrganization}/users/${sub}/sessions`;
        const { body } = await call<{ items: { current: boolean }[] }>(stack, 'GET', path, { token });
        return body.items.map((session) => session.current);
      };
      const ours = await issuers.customer.token({ sub, sid, roles: ['org_admin'] });
      const staff = await issuers.vendor.token({ sub, sid, roles: ['global_admin'] });
      expect([await current(ours), await current(staff)]).toEqual([[true], [false]]);
      const url = `/v1/organizations/${customerOrganization}/users/${sub}/sessions/terminate`;
      const ended = await call<{ id: string }>(stack, 'POST', url, {
        token: staff,
        headers: { prefer: 'respond-async' },
      });
      expect(ended.status).toBe(202);
      // the customer's own is ended, for it was not the staff member's to keep; theirs at home goes on
      expect(await current(staff)).toEqual([]);
      expect(
        (await call(stack, 'GET', `/v1/organizations/${customerOrganization}/terminations`, { token: ours })).status,
      ).toBe(401);
      await stack.database.query('update support_access_grants set expires_at = current_instant() where id = $1', [
        grantId,
      ]);
    }),
    { numRuns: 15 },
  );
});

it('keys and audit from before there were several issuers go on counting', async () => {
  const organization = randomUUID();
  const [key, user] = [randomUUID(), randomUUID()];
  const token = await tokens(stack.issuer).orgAdmin(organization);
  const url = `/v1/organizations/${organization}/users/${user}/sessions/terminate`;
  const headers = { prefer: 'respond-async', 'idempotency-key': key };
  expect((await call(stack, 'POST', url, { token, headers })).status).toBe(202);
  const [kept] = await stack.database.query<{ caller: string }>('select caller from idempotency_keys where key = $1', [
    key,
  ]);
  expect(kept).toEqual({ caller: 'org-admin:admin' });
  await stack.database
    .query(`insert into audit_events (organization_id, at, action, actor, subject_kind, subject_id, details)
    select organization_id, at, action, actor - 'issuer', subject_kind, 'of-before', details from audit_events where organization_id = '${organization}'`);
  const { body } = await call<{ items: { subject: { id: string }; details: object }[] }>(
    stack,
    'GET',
    `/v1/organizations/${organization}/audit-events?subjectId=of-before`,
    { token },
  );
  expect(body.items).toMatchObject([{ actor: { kind: 'org-admin', id: 'admin' } }]);
  expect(Object.keys(body.items[0]?.details ?? {})).not.toContain('issuer');
});
