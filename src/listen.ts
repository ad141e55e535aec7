import { once } from 'node:events';
import type { Server } from 'node:net';
import { codeOf } from './error-code.ts';

interface Place {
  /** The variable that says the port. */
  variable: 'PORT' | 'METRICS_PORT';
  port: number;
  host: string;
}

/** A process that cannot have its port; the message is one line for whoever starts it. */
export class ListenError extends Error {
  constructor(message: string, cause: unknown) {
    super(message, { cause });
    this.name = 'ListenError';
  }
}

/** Listens, and resolves with the port that it got. Rejects with a `ListenError` where it cannot. */
export async function listen(server: Server, place: Place): Promise<number> {
  server.listen(place.port, place.host);
  try {
    await once(server, 'listening');
  } catch (error) {
    throw new ListenError(whyNot(place, codeOf(error)), error);
  }
  return portOf(server);
}

function whyNot({ variable, port, host }: Place, code: string): string {
  if (code === 'EADDRINUSE') return `${variable}: port ${port} of ${host} is taken by another process.`;
  if (code === 'EACCES') return `${variable}: port ${port} may not be used by this user.`;
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') return `HOST: ${host} is no address of this machine.`;
  return `${variable}: port ${port} of ${host} cannot be listened on (${code}).`;
}

/** The port that a listening server got. */
export function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server does not listen on a port');
  return address.port;
}

/** The address at which this machine reaches what listens on a host; every address of a machine includes its loopback. */
export function urlOf(host: string, port: number): string {
  const loopback: Record<string, string> = { '0.0.0.0': '127.0.0.1', '::': '::1' };
  const name = loopback[host] ?? host;
  return `http://${name.includes(':') ? `[${name}]` : name}:${port}`;
}
