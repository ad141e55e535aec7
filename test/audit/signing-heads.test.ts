import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compactVerify, createLocalJWKSet } from 'jose';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { loadConfig } from '../../src/config.ts';
import { type Database, openDatabase } from '../../src/database.ts';
import { createSealAudit } from '../../src/dispatcher/seal-audit.ts';
import { createSignHeads } from '../../src/dispatcher/sign-heads.ts';
import type { SignedAuditHead } from '../../src/rules/audit.ts';
import { createAuditSigner } from '../../src/signing/audit-signer.ts';
import { cloneDatabase, type TestDatabase } from '../harness/database.ts';

let test: TestDatabase;
let database: Database;
beforeAll(async () => {
  test = await cloneDatabase();
  database = await openDatabase({ url: test.url, applicationName: 'signing-test' });
});
afterAll(async () => {
  await database.close();
  await test.drop();
});

const jwkOf = (kind: 'ed25519' | 'P-256' | 'P-384'): string => {
  const { privateKey } =
    kind === 'ed25519' ? generateKeyPairSync('ed25519') : generateKeyPairSync('ec', { namedCurve: kind });
  return JSON.stringify(privateKey.export({ format: 'jwk' }));
};
const minimal = {
  DATABASE_URL: 'postgres://localhost/x',
  AUTH_MODULE_URL: 'http://localhost:1',
  AUTH_MODULE_TOKEN: 'x',
  JWT_ISSUER: 'x',
  JWT_AUDIENCE: 'x',
  JWKS_URL: 'http://localhost:1',
};
const auditOf = (variables: Record<string, string>) => loadConfig({ ...minimal, ...variables }).audit;
const signerOf = (key: string) =>
  createAuditSigner(auditOf({ AUDIT_SIGNING_KEY: key }), pino({ level: 'silent' })) ?? expect.unreachable();

const fact = async (organization: string) => {
  await test.query('insert into organizations (id) values ($1) on conflict do nothing', [organization]);
  await test.query(
    `insert into audit_events (organization_id, at, action, actor, subject_kind, subject_id)
     values ($1, current_instant(), 'termination.requested', '{}', 'session', 's')`,
    [organization],
  );
  await createSealAudit(database)();
};
/** The heads that one round signs, by its lines in the log. */
const round = async (signer = signerOf(jwkOf('ed25519'))): Promise<SignedAuditHead[]> => {
  const lines: string[] = [];
  const logger = pino({ level: 'info' }, { write: (line) => void lines.push(line) });
  await createSignHeads({ database, signer, logger })();
  return lines
    .map((line) => JSON.parse(line) as SignedAuditHead & { msg: string })
    .map(({ organizationId, sequence, hash, at, jws }) => ({ organizationId, sequence, hash, at, jws }));
};

it.each(['ed25519', 'P-256'] as const)('a head is signed with a key of %s, and the log has it', async (kind) => {
  const signer = signerOf(jwkOf(kind));
  await fact(`logged-${kind}`);
  const [{ jws, ...head } = expect.unreachable(), ...others] = await round(signer);
  expect(others).toEqual([]);
  expect(head).toMatchObject({ organizationId: `logged-${kind}`, sequence: 1 });
  const { payload } = await compactVerify(jws, createLocalJWKSet({ keys: [...signer.publicKeys] }));
  expect(JSON.parse(Buffer.from(payload).toString())).toEqual(head);
});

it('a head is signed when the chain has moved, at most once a minute, and never when it has not', async () => {
  await fact('moving');
  expect((await round()).map(({ sequence }) => sequence)).toEqual([1]);
  expect(await round()).toEqual([]);
  await fact('moving');
  await fact('moving');
  expect(await round()).toEqual([]);
  await test.moveClock(61_000);
  expect((await round()).map(({ organizationId, sequence }) => [organizationId, sequence])).toEqual([['moving', 3]]);
  await test.moveClock(61_000);
  expect(await round()).toEqual([]);
});

it('what two processes sign at the same time is signed once', async () => {
  for (const n of [1, 2, 3, 4, 5]) await fact(`twice-${n}`);
  const signed = (await Promise.all([round(), round()])).flat();
  expect(signed.map(({ organizationId }) => organizationId).toSorted()).toEqual(
    [1, 2, 3, 4, 5].map((n) => `twice-${n}`),
  );
});

it('a key comes as JSON or in a file; another kind, half a key or a private one among the public is refused, and quoted nowhere', () => {
  const directory = mkdtempSync(join(tmpdir(), 'session-management-key-'));
  const key = jwkOf('P-256');
  writeFileSync(join(directory, 'key.json'), key);
  expect(auditOf({ AUDIT_SIGNING_KEY: `@${directory}/key.json` })).toEqual(auditOf({ AUDIT_SIGNING_KEY: key }));
  rmSync(directory, { recursive: true });
  const { d, ...half } = JSON.parse(key) as Record<string, string>;
  const expected = /^The configuration has a problem:\n {2}AUDIT_(SIGNING|PUBLIC)_KEYS?: must be a [^\n]*$/;
  for (const wrong of [
    jwkOf('P-384'),
    JSON.stringify(half),
    '{}',
    'nonsense',
    `@${directory}/key.json`,
    '{"kty":"oct","k":"c2VjcmV0"}',
  ])
    expect(() => auditOf({ AUDIT_SIGNING_KEY: wrong }), wrong).toThrow(expected);
  for (const wrong of [key, `{"keys":[${key}]}`, '[]'])
    expect(() => auditOf({ AUDIT_PUBLIC_KEYS: wrong })).toThrow(expected);
  expect(() => auditOf({ AUDIT_PUBLIC_KEYS: `{"keys":[${key}]}` })).not.toThrow(d);
  expect(auditOf({ AUDIT_PUBLIC_KEYS: JSON.stringify({ keys: [half] }) }).publicKeys).toHaveLength(1);
});
