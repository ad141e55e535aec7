import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';

export interface Listening {
  url: string;
  /** Requests that come before this get 503: the issuer's URL is known only once the port is. */
  serve(listener: RequestListener): void;
  /** Finishes the requests under way, for at most `graceMs`, and takes no new ones. */
  close(graceMs: number): Promise<void>;
}

export async function listen(port: number, host: string): Promise<Listening> {
  let handle: RequestListener = notYet;
  const server = createServer((request, response) => handle(request, response));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(port, host, resolve);
  });
  const address = server.address();
  const actual = typeof address === 'object' && address ? address.port : port;
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${actual}`,
    serve(listener) {
      handle = listener;
    },
    close: (graceMs) => close(server, graceMs),
  };
}

function notYet(_request: IncomingMessage, response: ServerResponse): void {
  response.writeHead(503, { 'retry-after': '1' }).end();
}

async function close(server: Server, graceMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const impatient = setTimeout(() => server.closeAllConnections(), graceMs);
  await closed;
  clearTimeout(impatient);
}
