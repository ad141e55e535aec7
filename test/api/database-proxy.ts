import { connect, createServer, type Socket } from 'node:net';

export interface DatabaseProxy {
  /** The database's address through the proxy. */
  url: string;
  /** Connections that are open through it now. */
  readonly open: number;
  /** `hang`: nothing is passed on any more, in neither direction, on old connections or new ones. `stall`: only on those that are open now. */
  become(state: 'passing' | 'hanging' | 'refusing'): Promise<void>;
  /** Only what is open now falls silent, as behind a router that forgot it. */
  silenceOpen(): void;
  close(): Promise<void>;
}

/** A PostgreSQL that can go away in the ways in which networks lose one. */
export async function startDatabaseProxy(databaseUrl: string): Promise<DatabaseProxy> {
  const target = new URL(databaseUrl);
  const sockets = new Set<Socket>();
  let hanging = false;
  const server = createServer((client) => {
    const upstream = connect({ host: target.hostname, port: Number(target.port) });
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from);
      if (!hanging) from.pipe(to);
      from
        .on('error', () => to.destroy())
        .on('close', () => {
          sockets.delete(from);
          to.destroy();
        });
    }
  });
  const silence = () => {
    for (const socket of sockets) socket.unpipe().pause();
  };
  const drop = () => {
    for (const socket of sockets) socket.destroy();
  };
  const listen = (port: number) => new Promise<void>((listening) => server.listen(port, '127.0.0.1', listening));
  await listen(0);
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The proxy has no port.');
  const url = new URL(databaseUrl);
  url.port = String(address.port);
  url.hostname = '127.0.0.1';
  return {
    url: url.href,
    get open() {
      return sockets.size / 2;
    },
    silenceOpen: silence,
    async become(state) {
      const wasHanging = hanging;
      hanging = state === 'hanging';
      if (hanging) silence();
      // bytes that were withheld would arrive out of order: what was silent is closed
      if (wasHanging || state === 'refusing') drop();
      if (state === 'refusing') await new Promise((closed) => server.close(closed));
      else if (!server.listening) await listen(address.port);
    },
    async close() {
      drop();
      if (server.listening) await new Promise((closed) => server.close(closed));
    },
  };
}
