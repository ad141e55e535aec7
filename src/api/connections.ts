import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Logger } from 'pino';

export interface Connections {
  /** Closes what has no request in progress, now; and every other connection once its last answer is sent. */
  closeUnused(): void;
}

/**
 * Knows how many requests are in progress on each connection. Node's own `closeIdleConnections` leaves open what has
 * never asked and what has sent half a header, and a server waits for those until its grace is over.
 */
export function watchConnections(server: Server): Connections {
  const inProgress = new Map<Socket, number>();
  let closing = false;
  server.on('connection', (socket: Socket) => {
    inProgress.set(socket, 0);
    socket.once('close', () => inProgress.delete(socket));
    if (closing) socket.destroy();
  });
  server.prependListener('request', ({ socket }, response) => {
    inProgress.set(socket, (inProgress.get(socket) ?? 0) + 1);
    response.once('close', () => {
      const left = (inProgress.get(socket) ?? 1) - 1;
      if (!socket.destroyed) inProgress.set(socket, left);
      if (closing && left === 0) socket.destroySoon();
    });
  });
  return {
    closeUnused() {
      closing = true;
      for (const [socket, requests] of inProgress) if (requests === 0) socket.destroy();
    },
  };
}

const TOLD_EVERY_MS = 60_000;

/** A connection beyond `maxConnections` is closed without a word to its client: the log says so, once a minute. */
export function reportDropped(server: Server, logger: Logger): void {
  let [dropped, toldAt] = [0, -TOLD_EVERY_MS];
  server.on('drop', () => {
    dropped += 1;
    if (performance.now() - toldAt < TOLD_EVERY_MS) return;
    logger.warn({ dropped, maxConnections: server.maxConnections }, 'connections beyond the maximum are closed');
    [dropped, toldAt] = [0, performance.now()];
  });
}
