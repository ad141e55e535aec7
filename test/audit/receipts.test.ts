import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { calculateJwkThumbprint, decodeProtectedHeader, type JWK } from 'jose';
import pg from 'pg';
import { pino } from 'pino';
import { afterAll, expect, it } from 'vitest';
import { startApi } from '../../src/api.ts';
import { loadConfig } from '../../src/config.ts';
import type { TerminationReceipt } from '../../src/rules/termination.ts';
import { expectAnswersDeclared } from '../api/declared-answers.ts';
import { call, eventually } from '../harness/client.ts';
import { useStack } from '../harness/stack.ts';
import { auditOf, observer, signIn, terminate, untilCompleted, untilVerified } from '../harness/terminations.ts';
import { auditVerify } from './use-audit-verify.ts';

const stack = useStack({ environment: { VERIFY_AFTER_SECONDS: '1', ACCESS_TOKEN_TTL_SECONDS: '2' } });
expectAnswersDeclared(stack);
const directory = mkdtempSync(join(tmpdir(), 'session-management-receipts-'));
afterAll(() => rmSync(directory, { recursive: true }));
const root = fileURLToPath(new URL('../../', import.meta.url));

const ask = async (organizationId: string, id: string, url = stack.url) =>
  call<TerminationReceipt & { code?: string }>(
    { url, issuer: stack.issuer } as typeof stack,
    'GET',
    `/v1/organizations/${organizationId}/terminations/${id}/receipt`,
    { token: await observer(stack, organizationId) },
  );
const begin = async (organizationId: string) => {
  await signIn(stack, { organizationId, userId: 'grace', sessionId: 's1', chainIds: ['c1', 'c2'] });
  const { body } = await terminate(stack, organizationId, 'users/grace/sessions/terminate');
  return body;
};
const untilReceipt = async (organizationId: string, id: string) =>
  (
    await eventually(
      () => ask(organizationId, id),
      ({ status }) => status === 200,
    )
  ).body;

/** The example of the guide, as somebody outside runs it. */
async function runGuide(receipt: unknown): Promise<{ code: number; text: string }> {
  const [, snippet = ''] = /```js\n([\s\S]+?)```/.exec(readFileSync(join(root, 'docs/guides/audit.md'), 'utf8')) ?? [];
  const file = join(directory, 'receipt.json');
  writeFileSync(file, JSON.stringify(receipt));
  const child = spawn(
    process.execPath,
    ['--input-type=module', '-', file, `${stack.url}/.well-known/audit-keys.json`],
    { cwd: root },
  );
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (part: Buffer) => (text += part.toString()));
  child.stdin.end(snippet);
  const [code] = (await once(child, 'close')) as [number];
  return { code, text };
}

it('a receipt is there once the termination is verified, says what it says, and names its sealed event', async () => {
  const { id } = await begin('receipted');
  await untilCompleted(stack, { organizationId: 'receipted', id });
  expect(await ask('receipted', id)).toMatchObject({ status: 409, body: { code: 'not-verified-yet' } });
  const { jws, ...receipt } = await untilReceipt('receipted', id);
  const verified = await untilVerified(stack, { organizationId: 'receipted', id });
  const [, completed] = await auditOf(stack, 'receipted');
  const { organizationId, scope, cutoff, requestedAt, requestedBy, completedAt, verifiedAt, sessions, chains } =
    verified;
  expect(receipt).toEqual({
    terminationId: id,
    organizationId,
    scope,
    cutoff,
    requestedAt,
    requestedBy,
    completedAt,
    verifiedAt,
    sessions,
    chains,
    audit: { sequence: 2, hash: completed?.hash },
  });
  expect(completed?.action).toBe('termination.completed');
  expect(JSON.parse(Buffer.from(jws.split('.')[1] ?? '', 'base64url').toString())).toEqual(receipt);
});

it('somebody outside checks it with the example of the guide, which refuses one that was changed', async () => {
  const { id } = await begin('outside');
  const receipt = await untilReceipt('outside', id);
  const good = await runGuide(receipt);
  expect(good, good.text).toEqual({ code: 0, text: expect.stringContaining(`${id}: all of user grace confirmed`) });
  for (const wrong of [
    { ...receipt, verifiedAt: receipt.requestedAt },
    { ...receipt, jws: receipt.jws.replace(/\.(.)/, (_, first: string) => (first === 'e' ? '.f' : '.e')) },
  ])
    expect((await runGuide(wrong)).code).not.toBe(0);
});

it('a receipt that was kept is held against the chain as a head is', async () => {
  const { id } = await begin('kept-receipt');
  const file = join(directory, 'kept.jsonl');
  writeFileSync(file, JSON.stringify(await untilReceipt('kept-receipt', id)));
  const environment = {
    DATABASE_URL: stack.database.url,
    AUDIT_SIGNING_KEY: stack.environment['AUDIT_SIGNING_KEY'] ?? '',
  };
  expect(await auditVerify(environment, ['--heads', file])).toMatchObject({ code: 0, err: '' });
});

it('where the outcome is verified and its event is not sealed, there is no receipt yet', async () => {
  const sealing = new pg.Client({ connectionString: stack.database.url });
  await sealing.connect();
  // as another process that seals would
  await sealing.query(`select pg_advisory_lock(hashtextextended('audit-seal:unsealed', 0))`);
  const { id } = await begin('unsealed');
  await untilVerified(stack, { organizationId: 'unsealed', id });
  expect(await ask('unsealed', id)).toMatchObject({ status: 409, body: { code: 'not-verified-yet' } });
  await sealing.end();
  expect((await untilReceipt('unsealed', id)).audit.sequence).toBe(2);
});

it('the keys are shown without a token, named by their thumbprints, and private in nothing', async () => {
  const { status, body } = await call<{ keys: JWK[] }>(stack, 'GET', '/.well-known/audit-keys.json', { token: null });
  expect(status).toBe(200);
  expect(body.keys).toHaveLength(1);
  for (const key of body.keys) {
    expect(key).not.toHaveProperty('d');
    expect(key.kid).toBe(await calculateJwkThumbprint(key));
  }
  const { id } = await begin('named');
  const { jws } = await untilReceipt('named', id);
  expect(decodeProtectedHeader(jws)).toEqual({ alg: 'EdDSA', kid: body.keys[0]?.kid, typ: 'termination-receipt' });
});

it('without a key all three are not there, which is said once at start', async () => {
  const { id } = await begin('keyless');
  await untilReceipt('keyless', id);
  const lines: string[] = [];
  const logger = pino({ level: 'warn' }, { write: (line) => void lines.push(line) });
  const api = await startApi(loadConfig({ ...stack.environment, AUDIT_SIGNING_KEY: '' }), logger);
  try {
    const keyless = { url: api.url, issuer: stack.issuer } as typeof stack;
    const token = await observer(stack, 'keyless');
    expect((await ask('keyless', id, api.url)).status).toBe(404);
    for (const path of ['/v1/organizations/keyless/audit-events/head', '/.well-known/audit-keys.json'])
      expect((await call<{ code: string }>(keyless, 'GET', path, { token })).body.code).toBe('not-found');
    expect(lines.filter((line) => line.includes('AUDIT_SIGNING_KEY'))).toHaveLength(1);
  } finally {
    await api.stop();
  }
});
