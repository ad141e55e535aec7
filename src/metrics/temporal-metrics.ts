import { once } from 'node:events';
import { createServer } from 'node:net';
import { portOf } from '../listen.ts';

/** A loopback address on which the Temporal SDK can show its metrics: it cannot be asked which port it got, so it is given a free one. */
export async function chooseTemporalMetricsAddress(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const port = portOf(server);
  server.close();
  await once(server, 'close');
  return `127.0.0.1:${port}`;
}
