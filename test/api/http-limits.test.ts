import { once } from 'node:events';
import { type AddressInfo, connect } from 'node:net';
import { OpenAPIHono } from '@hono/zod-openapi';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ApiEnv } from '../../src/api/api-env.ts';
import { reportDropped } from '../../src/api/connections.ts';
import { createHttpServer } from '../../src/api/server.ts';
import { useStack } from '../harness/stack.ts';

const stack = useStack({ worker: false });

interface RawAnswer {
  statusLine: string;
  headers: Record<string, string>;
  body: Record<string, unknown>;
  /** Until the connection ended, which is the server's doing: the client keeps its side open. */
  ms: number;
}
/** What comes back for exactly these bytes, until the server closes the connection. */
async function send(url: string, bytes: string): Promise<RawAnswer> {
  const { hostname, port } = new URL(url);
  const begun = performance.now();
  const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true });
  await once(socket, 'connect');
  socket.write(bytes);
  let text = '';
  for await (const chunk of socket.setEncoding('utf8')) text += String(chunk);
  const ms = performance.now() - begun;
  socket.destroy();
  const [head = '', body = ''] = text.split('\r\n\r\n');
  const [statusLine = '', ...fields] = head.split('\r\n');
  const headers = fields.map((field) => {
    const colon = field.indexOf(':');
    return [field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim()];
  });
  return {
    statusLine,
    headers: Object.fromEntries(headers) as Record<string, string>,
    body: JSON.parse(body) as Record<string, unknown>,
    ms,
  };
}

function expectProblem({ statusLine, headers, body }: RawAnswer, status: string): void {
  expect(statusLine).toBe(`HTTP/1.1 ${status}`);
  expect(headers).toMatchObject({ 'content-type': 'application/problem+json', connection: 'close' });
  expect(body).toEqual({
    type: 'urn:session-management:error:malformed-request',
    title: 'Malformed request',
    status: Number.parseInt(status, 10),
    detail: 'The request cannot be read as HTTP.',
    code: 'malformed-request',
    requestId: headers['x-request-id'],
  });
}

const request = (padding: string) => `GET /healthz HTTP/1.1\r\nHost: limits\r\nConnection: close\r\n${padding}\r\n`;

describe('large headers', () => {
  it('of 20 KiB are answered 431 with a problem document, and the connection is closed', async () => {
    expectProblem(
      await send(stack.url, request(`X-Padding: ${'x'.repeat(20 * 1_024)}\r\n`)),
      '431 Request Header Fields Too Large',
    );
  });

  it('of 20 KiB in many fields are no way around it', async () => {
    const many = Array.from({ length: 40 }, (_, i) => `X-Padding-${i}: ${'x'.repeat(512)}\r\n`).join('');
    expectProblem(await send(stack.url, request(many)), '431 Request Header Fields Too Large');
  });

  it('of 12 KiB, as of a token with many claims, are read', async () => {
    const { statusLine } = await send(stack.url, request(`X-Padding: ${'x'.repeat(12 * 1_024)}\r\n`));
    expect(statusLine).toBe('HTTP/1.1 200 OK');
  });
});

describe('slow headers', () => {
  const app = new OpenAPIHono<ApiEnv>();
  app.get('/healthz', (c) => c.json({ status: 'ok' }));
  const headersTimeout = 400;
  const { server, drain } = createHttpServer(app, { headersTimeout, connectionsCheckingInterval: 50 });
  let url: string;
  beforeAll(async () => {
    await once(server.listen(0, '127.0.0.1'), 'listening');
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => drain(100));

  it.each([
    ['half a request line', 'GET /heal'],
    ['headers that never end', 'GET /healthz HTTP/1.1\r\nHost: limits\r\nX-Padding: '],
    ['nothing at all', ''],
  ])('%s is answered 408 with a problem document, and others are served meanwhile', async (_, bytes) => {
    const connection = { ended: false };
    const slow = send(url, bytes).finally(() => (connection.ended = true));
    const served: number[] = [];
    while (!connection.ended) served.push((await fetch(`${url}/healthz`)).status);
    const answer = await slow;
    expectProblem(answer, '408 Request Timeout');
    expect(answer.ms).toBeGreaterThan(headersTimeout * 0.9);
    expect(new Set(served)).toEqual(new Set([200]));
    expect(served.length).toBeGreaterThan(2);
  });

  it('have ten seconds where nothing else is said', () => {
    expect(createHttpServer(app).server).toMatchObject({ headersTimeout: 10_000, requestTimeout: 60_000 });
  });
});

describe('connections beyond the maximum', () => {
  it('are closed as soon as they are made, those within are served, and the log says so once', async () => {
    const app = new OpenAPIHono<ApiEnv>();
    app.get('/healthz', (c) => c.json({ status: 'ok' }));
    const { server, drain } = createHttpServer(app);
    expect(server.maxConnections).toBe(10_000);
    server.maxConnections = 2;
    const lines: string[] = [];
    reportDropped(server, pino({ level: 'warn' }, { write: (line: string) => void lines.push(line) }));
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const { port } = server.address() as AddressInfo;
    const open = async () => {
      const socket = connect({ host: '127.0.0.1', port });
      socket.on('error', () => undefined);
      // it may be closed before anybody waits for that
      const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
      await once(socket, 'connect');
      return { socket, closed };
    };
    const within = [await open(), await open()];
    for (const { socket } of within) socket.write('GET /healthz HTTP/1.1\r\nHost: limits\r\n\r\n');
    for (const { socket } of within) expect(String((await once(socket, 'data'))[0])).toMatch(/^HTTP\/1\.1 200 /);
    const beyond = [await open(), await open(), await open()];
    for (const { socket } of beyond) socket.resume();
    await Promise.all(beyond.map(({ closed }) => closed));
    expect(lines.map((line) => (JSON.parse(line) as { msg: string }).msg)).toEqual([
      'connections beyond the maximum are closed',
    ]);
    await drain(100);
  });
});
