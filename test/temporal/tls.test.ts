import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { ConfigError, loadConfig } from '../../src/config.ts';
import { call, eventually, tokens } from '../harness/client.ts';
import { type Authority, createAuthority, type Pair } from '../harness/certificates.ts';
import { signIn, terminate, untilVerified } from '../harness/terminations.ts';
import { through, useProcesses } from '../operations/use-processes.ts';
import { startHttpsProxy, startTemporalTlsProxy, type TlsProxyOptions } from './tls-proxy.ts';

const processes = useProcesses({ VERIFY_AFTER_SECONDS: '1', ACCESS_TOKEN_TTL_SECONDS: '1' });
const directory = mkdtempSync(join(tmpdir(), 'session-management-tls-'));
let authority: Authority;
let own: Pair;
const files = { authority: '', certificate: '', key: '' };

beforeAll(async () => {
  authority = await createAuthority('private');
  own = await authority.issue({ names: ['localhost'], commonName: 'localhost' });
  const client = await authority.issue({ commonName: 'the-service' });
  const write = (name: string, text: string) => {
    writeFileSync(join(directory, name), text, { mode: 0o600 });
    return join(directory, name);
  };
  Object.assign(files, {
    authority: write('authority.crt', authority.certificate),
    certificate: write('client.crt', client.certificate),
    key: write('client.key', client.key),
  });
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** An ending from request to proof, with both processes; who has called the proxy meanwhile. */
async function endedThrough(
  organizationId: string,
  options: Omit<TlsProxyOptions, 'own'>,
  environment: Record<string, string>,
) {
  const proxy = await startTemporalTlsProxy(inject('temporalAddress'), { own, ...options });
  const variables = { TEMPORAL_ADDRESS: `localhost:${proxy.port}`, ...environment };
  const [api, worker] = await Promise.all([processes.api(variables), processes.worker(variables)]);
  try {
    const stack = through(processes, api);
    await signIn(stack, { organizationId, userId: 'grace', sessionId: 's1', chainIds: ['c1'] });
    const { body } = await terminate(stack, organizationId, 'users/grace/sessions/terminate');
    await untilVerified(stack, body, 40_000);
    const ready = await call(stack, 'GET', '/readyz');
    expect(ready).toMatchObject({ status: 200, body: { temporal: { status: 'up' } } });
    return proxy.callers;
  } finally {
    await Promise.all([api.terminate(), worker.terminate()]);
    await proxy.close();
  }
}

const halves = (callers: readonly { userAgent: string }[]) =>
  new Set(callers.map(({ userAgent }) => (userAgent.startsWith('grpc-node-js') ? 'javascript' : 'native')));

it(
  'Temporal that demands a client certificate gets it from both halves of the SDK, by files or by text',
  { timeout: 180_000 },
  async () => {
    const byFile = await endedThrough(
      'mtls',
      { clientAuthority: authority.certificate },
      {
        TEMPORAL_TLS: 'true',
        TEMPORAL_TLS_SERVER_CA_CERT_PATH: files.authority,
        TEMPORAL_TLS_CLIENT_CERT_PATH: files.certificate,
        TEMPORAL_TLS_CLIENT_KEY_PATH: files.key,
      },
    );
    expect(halves(byFile)).toEqual(new Set(['javascript', 'native']));
    expect(new Set(byFile.map(({ name }) => name))).toEqual(new Set(['the-service']));
  },
);

it(
  'Temporal that demands an API key gets it from both halves; a private authority is trusted by both where Node trusts it',
  { timeout: 180_000 },
  async () => {
    const callers = await endedThrough(
      'api-key',
      { apiKey: 'the-api-key' },
      {
        TEMPORAL_API_KEY: 'the-api-key',
        NODE_EXTRA_CA_CERTS: files.authority,
      },
    );
    expect(halves(callers)).toEqual(new Set(['javascript', 'native']));
    expect(new Set(callers.map(({ authorization }) => authorization))).toEqual(new Set(['Bearer the-api-key']));
  },
);

it('a Temporal of an unknown authority is spoken to by neither half', { timeout: 60_000 }, async () => {
  const proxy = await startTemporalTlsProxy(inject('temporalAddress'), { own });
  const variables = { TEMPORAL_ADDRESS: `localhost:${proxy.port}`, TEMPORAL_TLS: 'true' };
  const api = await processes.api(variables);
  expect((await call<{ temporal: object }>({ url: api.url }, 'GET', '/readyz')).body.temporal).toMatchObject({
    status: 'down',
  });
  const worker = processes.worker(variables);
  worker.catch(() => undefined);
  await eventually(
    () => call({ url: api.url }, 'GET', '/readyz'),
    ({ status }) => status === 200,
  );
  expect(proxy.callers).toEqual([]);
  await api.terminate();
  await proxy.close();
});

it('what the SDK would ignore is a problem at start, and an empty variable is none', () => {
  const problemsOf = (environment: NodeJS.ProcessEnv): string => {
    try {
      loadConfig({ ...processes.environment, ...environment });
    } catch (error) {
      if (error instanceof ConfigError) return error.message;
      throw error;
    }
    return '';
  };
  expect(problemsOf({ TEMPORAL_TLS_DISABLE_HOST_VERIFICATION: 'true' })).toContain(
    'TEMPORAL_TLS_DISABLE_HOST_VERIFICATION',
  );
  expect(problemsOf({ TEMPORAL_TLS_CLIENT_CERT_PATH: files.certificate })).toContain('one needs the other');
  expect(problemsOf({ TEMPORAL_TLS_SERVER_CA_CERT_PATH: '/nowhere' })).toContain('cannot be read (ENOENT)');
  expect(problemsOf({ TEMPORAL_TLS: 'yes' })).toContain('TEMPORAL_TLS: must be');
  expect(problemsOf({ TEMPORAL_API_KEY: '', TEMPORAL_TLS: '' })).toBe('');
});

it(
  'the Auth Module and the key set behind a private authority are reached where NODE_EXTRA_CA_CERTS names it, and only there',
  { timeout: 120_000 },
  async () => {
    const [authModule, keys] = await Promise.all([
      startHttpsProxy(processes.authModule.url, own),
      startHttpsProxy(String(processes.environment['JWKS_URL']), own),
    ]);
    const variables = { AUTH_MODULE_URL: authModule.url, JWKS_URL: keys.url };
    const trusting = { ...variables, NODE_EXTRA_CA_CERTS: files.authority };
    const [api, worker, doubting] = await Promise.all([
      processes.api(trusting),
      processes.worker(trusting),
      processes.api(variables),
    ]);
    const token = await tokens(processes.issuer).orgAdmin('https');
    const refused = await call({ url: doubting.url }, 'GET', '/v1/organizations/https/users/grace/sessions', { token });
    expect(refused).toMatchObject({ status: 503, body: { code: 'signing-keys-unavailable' } });
    const stack = through(processes, api);
    await signIn(stack, { organizationId: 'https', userId: 'grace', sessionId: 's1', chainIds: ['c1'] });
    const { body } = await terminate(stack, 'https', 'users/grace/sessions/terminate');
    await untilVerified(stack, body, 40_000);
    expect((await call(stack, 'GET', '/readyz')).body).toMatchObject({ authModule: { status: 'up' } });
    expect((await call({ url: doubting.url }, 'GET', '/readyz')).body).toMatchObject({
      authModule: { status: 'down' },
    });
    await Promise.all([api, worker, doubting].map((process) => process.terminate()));
    await Promise.all([authModule.close(), keys.close()]);
  },
);
