import { execFile } from 'node:child_process';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { afterEach, describe, expect, it } from 'vitest';
import { createIssuerKeys, type IssuerKeys } from '../../src/api/issuer-keys.ts';
import { loadTokenConfig } from '../../src/config.ts';
import { isPlainHttp, warnOfPlainHttp } from '../../src/plain-http.ts';
import { call, eventually } from '../harness/client.ts';
import { type Issuer, startIssuer } from '../harness/issuer.ts';
import { useStack } from '../harness/stack.ts';

const log: string[] = [];
const logger = pino({ level: 'warn' }, { write: (line: string) => void log.push(line) });
const closers: (() => unknown)[] = [];
afterEach(async () => {
  log.length = 0;
  for (const close of closers.splice(0)) await close();
});

async function issuer(): Promise<Issuer> {
  const started = await startIssuer();
  closers.push(() => started.close());
  return started;
}
function keysOf(...entries: object[]): IssuerKeys {
  const keys = createIssuerKeys(loadTokenConfig({ TRUSTED_ISSUERS: JSON.stringify(entries) }).issuers, logger);
  closers.push(() => keys.stop());
  return keys;
}
/** Nobody listens there; not one of the ports that `fetch` refuses by itself. */
const away = 'http://127.0.0.1:2';

describe('whether the keys were fetched', () => {
  it('with and without an address of the key set', async () => {
    const [one, two] = [await issuer(), await issuer()];
    const keys = keysOf(
      { issuer: one.issuer, audience: 'a', jwksUrl: one.jwksUrl },
      { issuer: two.issuer, audience: 'a' },
    );
    expect(await keys.state()).toEqual({ status: 'up' });
    expect(keys.ages().map((age) => age.issuer)).toEqual([one.issuer, two.issuer]);
  });

  it('one of everybody’s that never were is `down`; one customer’s is `partial`, so that they stop nobody else', async () => {
    const here = await issuer();
    const [ours, theirs] = [
      { issuer: here.issuer, audience: 'a' },
      { issuer: `${away}/realm`, audience: 'a' },
    ];
    expect(await keysOf(ours, theirs).state()).toMatchObject({ status: 'down', detail: 'ECONNREFUSED' });
    expect(await keysOf(ours, { ...theirs, organization: 'acme' }).state()).toMatchObject({ status: 'partial' });
    expect(await keysOf(ours, { ...theirs, organization: 'v', vendor: true }).state()).toMatchObject({
      status: 'down',
    });
    expect(await keysOf({ ...theirs, organization: 'acme' }).state()).toMatchObject({ status: 'down' });
  });

  it('a discovery document of another issuer is refused', async () => {
    const server = createServer((_, response) =>
      response.end(JSON.stringify({ issuer: 'https://another.example', jwks_uri: `${away}/keys` })),
    );
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    closers.push(() => server.close());
    const keys = keysOf({ issuer: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, audience: 'a' });
    expect(await keys.state()).toEqual({ status: 'down', detail: 'DISCOVERY_FAILED' });
  });
});

it('a failure is logged with its cause, not as the error that wraps it', async () => {
  await keysOf({ issuer: 'https://nobody.invalid', audience: 'a' }).state();
  await keysOf({ issuer: `${away}/realm`, audience: 'a', jwksUrl: `${away}/keys` }).state();
  await eventually(
    () => Promise.resolve(log.length),
    (lines) => lines === 2,
  );
  const told = log.map((line) => JSON.parse(line) as { error: string; cause: string });
  expect(told.map(({ error }) => error)).toEqual([expect.stringMatching(/^ENOTFOUND|EAI_AGAIN$/), 'ECONNREFUSED']);
  expect(log.join('')).not.toContain('TypeError');
});

describe('an API whose issuer is away', () => {
  const stack = useStack({ worker: false, environment: { JWKS_URL: `${away}/keys` } });

  it('is not ready, says why, and shows the age', async () => {
    const ready = await call<{ status: string; signingKeys: object }>(stack, 'GET', '/readyz');
    expect(ready.status).toBe(503);
    expect(ready.body).toMatchObject({
      status: 'unavailable',
      signingKeys: { status: 'down', detail: 'ECONNREFUSED' },
    });
    const { text } = await call(stack, 'GET', '/metrics');
    expect(text).toMatch(/^session_management_signing_keys_age_seconds\{issuer="http:[^"]+"\} [\d.]+$/m);
  });
});

describe('plain http', () => {
  it('is told of once, by origin, where it goes beyond this machine', () => {
    const config = loadTokenConfig({
      TRUSTED_ISSUERS: JSON.stringify([
        { issuer: 'https://good.example', audience: 'a', jwksUrl: 'http://keys.example/jwks?key=secret' },
        { issuer: 'http://plain.example/realm', audience: 'a' },
        { issuer: 'http://localhost:8080', audience: 'a' },
      ]),
    });
    const authModule = { url: 'http://user:secret@auth-module:4000/x', token: 't', timeoutMs: 1, concurrency: 1 };
    warnOfPlainHttp({ ...config, authModule }, logger);
    expect(log.map((line) => JSON.parse(line) as unknown)).toMatchObject([
      { level: 40, origins: ['http://auth-module:4000', 'http://keys.example', 'http://plain.example'] },
    ]);
    expect(log.join('')).not.toContain('secret');
  });

  it('on this machine, and TLS, are told of by nobody', () => {
    for (const address of [
      'http://localhost',
      'http://127.8.9.1:1/x',
      'http://[::1]:80',
      'https://far.example',
      'urn:x',
    ])
      expect(isPlainHttp(address), address).toBe(false);
    for (const address of ['http://10.0.0.1', 'http://127.example', 'http://localhost.example'])
      expect(isPlainHttp(address), address).toBe(true);
  });

  it('is told of when the API starts', async () => {
    const lines: string[] = [];
    const { startApi } = await import('../../src/api.ts');
    const { loadConfig } = await import('../../src/config.ts');
    const config = loadConfig({ ...ready.environment, AUTH_MODULE_URL: 'http://auth-module.invalid:1' });
    const api = await startApi(config, pino({ level: 'warn' }, { write: (line: string) => void lines.push(line) }));
    await api.stop();
    expect(lines.filter((line) => line.includes('plain http'))).toHaveLength(1);
  });
  const ready = useStack({ worker: false });
});

it('`npm run token:explain` reads a token from standard input and exits by its verdict', async () => {
  const one = await issuer();
  const run = (token: string, environment: Record<string, string>) =>
    new Promise<{ code: number; output: string }>((ended) => {
      const path = fileURLToPath(new URL('../../src/token-explain.ts', import.meta.url));
      const child = execFile(process.execPath, [path], { env: environment }, (error, stdout, stderr) =>
        ended({ code: error === null ? 0 : Number(error.code), output: stdout + stderr }),
      );
      child.stdin?.end(`Bearer ${token}\n`);
    });
  const environment = { TRUSTED_ISSUERS: JSON.stringify([{ issuer: one.issuer, audience: one.audience }]) };
  const good = await one.token({ sub: 'ada', sid: 's', org_id: 'acme', roles: ['org_admin'] });
  const [accepted, refused, unconfigured] = await Promise.all([
    run(good, environment),
    run(await one.token({ sub: 'ada', org_id: 'acme' }), environment),
    run(good, {}),
  ]);
  expect(accepted).toMatchObject({
    code: 0,
    output: expect.stringMatching(/^verdict +accepted, as a person$/m) as string,
  });
  expect(accepted.output).not.toContain(good.split('.')[2]);
  expect(refused).toMatchObject({
    code: 1,
    output: expect.stringMatching(/^verdict +refused: a claim is missing/m) as string,
  });
  expect(unconfigured).toMatchObject({ code: 2, output: expect.stringContaining('JWT_ISSUER: is required') as string });
});
