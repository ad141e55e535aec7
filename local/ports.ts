import { createServer } from 'node:net';
import { Problem } from './problem.ts';

/** A port that nobody listens on at this moment. */
export function freePort(): Promise<number> {
  return new Promise((done, fail) => {
    const server = createServer().once('error', fail);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => done(typeof address === 'object' && address ? address.port : 0));
    });
  });
}

/** Refuses with one message that names the variable to change, if somebody listens there. */
export async function requireFreePort(port: number, user: string, variable: string): Promise<void> {
  if (await isFree(port)) return;
  throw new Problem(
    `Port ${port} is taken by another program, and the ${user} wants it. ` +
      `Stop that program, or choose another port: ${variable}=${port + 1} npm start`,
  );
}

/** Whether nobody listens there. */
export function isFree(port: number): Promise<boolean> {
  return new Promise((done, fail) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') done(false);
      else if (error.code === 'EACCES') fail(new Problem(`Port ${port} may not be used: ${error.message}`));
      else fail(error);
    });
    server.listen(port, '127.0.0.1', () => server.close(() => done(true)));
  });
}
