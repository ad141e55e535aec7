import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { tokens } from '../harness/client.ts';
import { useStack } from '../harness/stack.ts';

const stack = useStack({ worker: false });

/** A request that declares a body and sends it as slowly as the test wants. */
async function begin(method: string, path: string, token: string, length: number): Promise<Socket> {
  const { hostname, port } = new URL(stack.url);
  const socket = connect({ host: hostname, port: Number(port) });
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  socket.write(
    `${method} ${path} HTTP/1.1\r\nHost: slow\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n\r\n`,
  );
  return socket;
}

/** Everything that the server sends until it closes the connection, and how long that took. */
async function untilClosed(socket: Socket): Promise<{ text: string; ms: number }> {
  const begun = performance.now();
  let text = '';
  for await (const chunk of socket.setEncoding('utf8')) text += String(chunk);
  return { text, ms: performance.now() - begun };
}

/** One byte a second, for as long as the connection is open. */
function trickle(socket: Socket): void {
  const timer = setInterval(() => socket.write(' '), 1_000);
  socket.once('close', () => clearInterval(timer));
}

function expectTimeout({ text, ms }: { text: string; ms: number }, seconds: number): void {
  expect(text).toMatch(/^HTTP\/1\.1 408 /);
  expect(text).toMatch(/\r\ncontent-type: application\/problem\+json\r\n/i);
  expect(text).toMatch(/\r\nconnection: close\r\n/i);
  expect(text).toContain('"code":"request-timeout"');
  expect(ms).toBeGreaterThan(seconds * 1_000 - 500);
  expect(ms).toBeLessThan(seconds * 1_000 + 4_000);
}

describe('a body', () => {
  it('that has not arrived within 10 s (session events 30 s) is answered 408 and the connection closed, however it comes; nothing is decided', async () => {
    const admin = await tokens(stack.issuer).orgAdmin('slow');
    const machine = await tokens(stack.issuer).machine('sessions:ingest');
    const all = '/v1/organizations/slow/users/grace/sessions/terminate';
    const silent = await begin('POST', all, admin, 10);
    const trickling = await begin('POST', all, admin, 1_000);
    trickle(trickling);
    const last = await begin('POST', '/v1/organizations/slow/sessions/terminate', admin, 2);
    last.write('{');
    const events = await begin('POST', '/v1/session-events', machine, 1_000);
    trickle(events);
    const [first, second, third, fourth] = await Promise.all([silent, trickling, last, events].map(untilClosed));
    for (const answer of [first, second, third]) expectTimeout(answer ?? expect.unreachable(), 10);
    expectTimeout(fourth ?? expect.unreachable(), 30);
    expect(await stack.database.query('select 1 from terminations')).toEqual([]);
  });

  it('that arrives in pieces within the time is read', async () => {
    const admin = await tokens(stack.issuer).orgAdmin('pieces');
    const socket = await begin('POST', '/v1/organizations/pieces/users/grace/sessions/terminate', admin, 14);
    for (const piece of ['{"rea', 'son":', '"x"}']) {
      await new Promise((resolve) => setTimeout(resolve, 300));
      socket.write(piece);
    }
    const [answer] = (await once(socket.setEncoding('utf8'), 'data')) as [string];
    socket.destroy();
    expect(answer).toMatch(/^HTTP\/1\.1 202 /);
  });
});
