import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, expect, it } from 'vitest';
import type { SignedAuditHead } from '../../src/rules/audit.ts';
import { call, eventually } from '../harness/client.ts';
import { newSigningKey, useStack } from '../harness/stack.ts';
import { observer, signIn, terminate } from '../harness/terminations.ts';
import { asOwner, auditVerify, rehash } from './use-audit-verify.ts';

const stack = useStack();
const directory = mkdtempSync(join(tmpdir(), 'session-management-heads-'));
afterAll(() => rmSync(directory, { recursive: true }));

let organizationId = '';
let count = 0;
let kept: SignedAuditHead;

const headOf = async (org: string): Promise<SignedAuditHead | undefined> => {
  const path = `/v1/organizations/${org}/audit-events/head`;
  const { status, body } = await call<SignedAuditHead>(stack, 'GET', path, { token: await observer(stack, org) });
  return status === 200 ? body : undefined;
};

/** Four sealed events, and a head of all of them, which somebody keeps. */
beforeEach(async () => {
  organizationId = `kept-${(count += 1)}`;
  const people = [1, 2].map((n) => ({ organizationId, userId: 'grace', sessionId: `s${n}`, chainIds: [`c${n}`] }));
  await signIn(stack, ...people);
  for (const { sessionId } of people)
    await terminate(stack, organizationId, `sessions/${sessionId}/terminate`, { prefer: 'wait=20' });
  await eventually(
    () => stack.database.query('select 1 from audit_seals where organization_id = $1', [organizationId]),
    (seals) => seals.length === 4,
  );
  // the one before is younger than a minute
  await stack.database.moveClock(61_000);
  const head = await eventually(
    () => headOf(organizationId),
    (found) => found?.sequence === 4,
  );
  kept = head ?? expect.unreachable();
});

const fileOf = (...lines: unknown[]): string => {
  const file = join(directory, `${organizationId}.jsonl`);
  writeFileSync(file, lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n'));
  return file;
};
const keys = () => ({ AUDIT_SIGNING_KEY: stack.environment['AUDIT_SIGNING_KEY'] ?? '' });
const verifyAgainst = async (lines: unknown[], environment: Record<string, string> = keys()) => {
  const { code, err } = await auditVerify({ DATABASE_URL: stack.database.url, ...environment }, [
    '--heads',
    fileOf(...lines),
  ]);
  // what other tests of this file have done to their organizations is not asked for
  const own = err.split('\n').filter((line) => line.includes(`"${organizationId}"`) || line.startsWith('kept head'));
  return { code, own };
};
const withoutKey = () => auditVerify({ DATABASE_URL: stack.database.url });
const newest = () => `organization_id = '${organizationId}' and sequence = 4`;
const eventOf = (condition: string) => `(select audit_event_id from audit_seals where ${condition})`;

const attacks = {
  'an actor edited and every hash recomputed': async () => {
    const first = `organization_id = '${organizationId}' and sequence = 1`;
    await asOwner(
      stack.database,
      `update audit_events set actor = jsonb_set(actor, '{id}', '"somebody-else"') where id = ${eventOf(first)}`,
    );
    await rehash(stack.database, organizationId);
  },
  'the newest event removed': () =>
    asOwner(
      stack.database,
      `delete from audit_events where id = ${eventOf(newest())}; delete from audit_seals where ${newest()}`,
    ),
  'the whole chain of the organization removed': () =>
    asOwner(
      stack.database,
      ['audit_seals', 'audit_events']
        .map((table) => `delete from ${table} where organization_id = '${organizationId}'`)
        .join(';'),
    ),
};
it.each(Object.entries(attacks))(
  'a head that was kept elsewhere shows %s; without one nothing does',
  async (_, attack) => {
    expect(await verifyAgainst([kept])).toEqual({ code: 0, own: [] });
    await attack();
    // the owner removes what the database itself has kept, too
    const removed = await stack.database.query<{ row: string }>(
      'delete from audit_heads where organization_id = $1 returning audit_heads::text as row',
      [organizationId],
    );
    expect(removed).toHaveLength(1);
    expect((await withoutKey()).err).not.toContain(`"${organizationId}"`);
    const { code, own } = await verifyAgainst([kept]);
    expect(code).toBe(1);
    expect(own).toEqual([
      expect.stringMatching(
        new RegExp(
          `^kept head of line 1: organization "${organizationId}", sequence 4: .*(rewritten|not in the chain)`,
        ),
      ),
    ]);
    await removeAll();
  },
);

it('the head that the database has kept shows a rewritten chain to whoever has the key', async () => {
  await attacks['an actor edited and every hash recomputed']();
  const { code, err } = await auditVerify({ DATABASE_URL: stack.database.url, ...keys() });
  expect(code).toBe(1);
  expect(err).toMatch(new RegExp(`organization "${organizationId}", sequence 4: the chain was rewritten`));
  await removeAll();
});

it('a head of an unknown key, a changed one, or a line that is none, fails and says which line', async () => {
  const [header = '', payload = '', signature = ''] = kept.jws.split('.');
  const forged = Buffer.from(payload, 'base64url').toString().replace('"sequence":4', '"sequence":3');
  const lines = [
    kept,
    kept.jws,
    '',
    { jws: [header, Buffer.from(forged).toString('base64url'), signature].join('.') },
    {},
    'x',
  ];
  expect((await verifyAgainst(lines)).own).toEqual([
    'kept head of line 4: it is signed by no known key',
    'kept head of line 5: it is neither a head nor a receipt',
    'kept head of line 6: it is neither a head nor a receipt',
  ]);
  const other = await verifyAgainst([kept], { AUDIT_SIGNING_KEY: newSigningKey() });
  expect(other.own).toContain('kept head of line 1: it is signed by no known key');
  expect(other.code).toBe(1);
});

it('a key that was replaced proves what it signed, as long as it is among the public ones', async () => {
  const { body } = await call<{ keys: unknown[] }>(stack, 'GET', '/.well-known/audit-keys.json', { token: null });
  const environment = { AUDIT_SIGNING_KEY: newSigningKey(), AUDIT_PUBLIC_KEYS: JSON.stringify(body) };
  expect(await verifyAgainst([kept], environment)).toEqual({ code: 0, own: [] });
});

it('a file without a head, or one that is not there, is not taken for good', async () => {
  expect((await verifyAgainst([''])).code).toBe(1);
  const { code, err } = await auditVerify({ DATABASE_URL: stack.database.url, ...keys() }, ['--heads', '/nowhere']);
  expect({ code, err }).toEqual({ code: 1, err: expect.stringContaining('/nowhere') });
});

/** So that the next test begins with nothing wrong. */
const removeAll = () =>
  asOwner(
    stack.database,
    ['audit_heads', 'audit_seals', 'audit_unsealed', 'audit_events']
      .map((table) => `delete from ${table} where organization_id = '${organizationId}'`)
      .join(';'),
  );
