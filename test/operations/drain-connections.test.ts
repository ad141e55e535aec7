import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { expect, it } from 'vitest';
import { useProcesses } from './use-processes.ts';

const graceSeconds = 10;
const processes = useProcesses({ SHUTDOWN_GRACE_SECONDS: String(graceSeconds) });

async function open(url: string, bytes = ''): Promise<{ socket: Socket; closed: Promise<number> }> {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port) });
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  socket.write(bytes);
  return { socket, closed: once(socket, 'close').then(() => performance.now()) };
}

const answered = async ({ socket }: { socket: Socket }) => String((await once(socket, 'data'))[0]).split('\r\n', 1)[0];

it('an API that is told to stop closes at once what has no request in progress, and is done in well under a second', async () => {
  const api = await processes.api();
  const never = await Promise.all([open(api.url), open(api.url), open(api.url)]);
  const halfLine = await open(api.url, 'GET /heal');
  const halfHeader = await open(api.url, 'GET /healthz HTTP/1.1\r\nHost: x\r\nX-Padding: ');
  const keptAlive = await open(api.url, 'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n');
  expect(await answered(keptAlive)).toBe('HTTP/1.1 200 OK');
  keptAlive.socket.resume();
  const again = await open(api.url, 'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n');
  expect(await answered(again)).toBe('HTTP/1.1 200 OK');
  again.socket.resume().write('GET /healthz HTTP/1.1\r\nHost: ');
  // what was written before this answer has been read by then
  const last = await open(api.url, 'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n');
  expect(await answered(last)).toBe('HTTP/1.1 200 OK');
  last.socket.resume();

  const all = [...never, halfLine, halfHeader, keptAlive, again, last];
  const begun = performance.now();
  const { code, signal, ms } = await api.terminate();
  for (const at of await Promise.all(all.map(({ closed }) => closed))) expect(at - begun).toBeLessThan(1_000);
  expect({ code, signal }).toEqual({ code: 0, signal: null });
  expect(ms).toBeLessThan(1_000);
});
