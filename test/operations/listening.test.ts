import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startApi } from '../../src/api.ts';
import { loadConfig } from '../../src/config.ts';
import { createLogger } from '../../src/create-logger.ts';
import { portOf } from '../../src/listen.ts';
import { freePort } from '../../local/ports.ts';
import { call, tokens } from '../harness/client.ts';
import { run, useProcesses } from './use-processes.ts';

const processes = useProcesses();

/** Somebody else's server. */
async function occupy(): Promise<number> {
  const server: Server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return portOf(server);
}

/** The API in this process, as `HOST` says. */
async function serve(host: string) {
  const config = loadConfig({ ...processes.environment, HOST: host, PORT: '0', LOG_LEVEL: 'silent' });
  const api = await startApi(config, createLogger(config));
  onTestFinished(api.stop);
  return api;
}

const list = async (url: string) =>
  (
    await call({ url }, 'GET', '/v1/organizations/acme/terminations', {
      token: await tokens(processes.issuer).orgAdmin('acme'),
    })
  ).status;

describe('HOST', () => {
  it('`::` serves both families', async () => {
    const { url } = await serve('::');
    const { port } = new URL(url);
    for (const host of ['[::1]', '127.0.0.1']) expect(await list(`http://${host}:${port}`), host).toBe(200);
  });

  it('`::1` serves a host of IPv6 alone, at the address that it says', async () => {
    const { url } = await serve('::1');
    expect(url).toMatch(/^http:\/\/\[::1\]:\d+$/);
    expect(await list(url)).toBe(200);
    await expect(list(url.replace('[::1]', '127.0.0.1'))).rejects.toThrow('fetch failed');
  });
});

describe('a process that cannot listen says so in one line and exits 1', () => {
  const failing = async (file: string, extra: Record<string, string>) => {
    const process = run(file, { ...processes.environment, LOG_LEVEL: 'silent', ...extra }, '');
    onTestFinished(() => void process.child.kill('SIGKILL'));
    const [code] = (await once(process.child, 'close')) as [number];
    return { code, lines: process.lines };
  };

  it.each([
    ['src/api.ts', 'PORT', {}],
    ['src/api.ts', 'METRICS_PORT', { PORT: '0' }],
    ['src/worker.ts', 'METRICS_PORT', {}],
  ])('%s, %s taken', async (file, variable, others) => {
    const port = String(await occupy());
    expect(await failing(file, { ...others, [variable]: port })).toEqual({
      code: 1,
      lines: [`${variable}: port ${port} of 127.0.0.1 is taken by another process.`],
    });
  });

  it('HOST of another machine', async () => {
    expect(await failing('src/api.ts', { PORT: '0', HOST: '192.0.2.1' })).toEqual({
      code: 1,
      lines: ['HOST: 192.0.2.1 is no address of this machine.'],
    });
  });
});

describe('METRICS_PORT', () => {
  it('takes /metrics from PORT, and shows there what the API measures', async () => {
    const metricsPort = await freePort();
    const api = await processes.api({ METRICS_PORT: String(metricsPort) });
    const pages = { url: `http://127.0.0.1:${metricsPort}` };
    expect(await list(api.url)).toBe(200);
    expect((await call(api, 'GET', '/metrics')).status).toBe(404);
    const { status, text } = await call(pages, 'GET', '/metrics');
    expect(status).toBe(200);
    expect(text).toMatch(/^http_[^\n]*route="\/v1\/organizations\/\{org\}\/terminations"/m);
    expect((await call(pages, 'GET', '/readyz')).status).toBe(200);
    expect((await call<{ paths: object }>(api, 'GET', '/openapi.json')).body.paths).not.toHaveProperty('/metrics');
    expect((await api.terminate()).code).toBe(0);
    await expect(call(pages, 'GET', '/metrics')).rejects.toThrow('fetch failed');
  });

  it('where it is not set, /metrics is on PORT', async () => {
    const api = await processes.api();
    expect((await call(api, 'GET', '/metrics')).status).toBe(200);
  });
});
