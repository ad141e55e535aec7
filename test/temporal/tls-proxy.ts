import { once } from 'node:events';
import http2, { type ServerHttp2Stream } from 'node:http2';
import { connect, type AddressInfo } from 'node:net';
import tls, { type TLSSocket } from 'node:tls';
import type { Pair } from '../harness/certificates.ts';

export interface Caller {
  userAgent: string;
  authorization: string | undefined;
  /** Who its certificate says that it is. */
  name: string | undefined;
}

export interface TlsProxy {
  port: number;
  /** Who has called, each once. */
  callers: Caller[];
  close(): Promise<void>;
}

export interface TlsProxyOptions {
  own: Pair;
  /** The authority whose certificates are demanded of clients. */
  clientAuthority?: string;
  /** Who does not send this as a bearer token is refused. */
  apiKey?: string;
}

/** A TLS endpoint before a Temporal server, as a provider has one. */
export async function startTemporalTlsProxy(upstream: string, options: TlsProxyOptions): Promise<TlsProxy> {
  const { own, clientAuthority, apiKey } = options;
  const callers = new Map<string, Caller>();
  const server = http2.createSecureServer({
    cert: own.certificate,
    key: own.key,
    ...(clientAuthority === undefined ? {} : { ca: clientAuthority, requestCert: true, rejectUnauthorized: true }),
  });
  const target = http2.connect(`http://${upstream}`);
  target.on('error', () => undefined);
  const sessions = new Set<http2.Http2Session>();
  server.on('session', (session) => {
    sessions.add(session);
    session.on('close', () => sessions.delete(session)).on('error', () => undefined);
  });
  server.on('stream', (stream, headers) => {
    const socket = stream.session?.socket as TLSSocket;
    const caller: Caller = {
      userAgent: String(headers['user-agent']),
      authorization: headers['authorization'],
      name: socket.getPeerCertificate().subject?.CN as string | undefined,
    };
    callers.set(JSON.stringify(caller), caller);
    stream.on('error', () => undefined);
    if (apiKey === undefined || caller.authorization === `Bearer ${apiKey}`) pass(target, stream, headers);
    else
      stream.respond({ ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '16' }, { endStream: true });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: portOf(server),
    get callers() {
      return [...callers.values()];
    },
    async close() {
      target.destroy();
      server.close();
      for (const session of sessions) session.destroy();
      await once(server, 'close');
    },
  };
}

function pass(target: http2.ClientHttp2Session, stream: ServerHttp2Stream, headers: http2.IncomingHttpHeaders): void {
  const { ':scheme': _, ':authority': authority, ...rest } = headers;
  const call = target.request({ ...rest, ':authority': String(authority), ':scheme': 'http' });
  let trailers: http2.IncomingHttpHeaders = {};
  call.on('error', () => stream.close());
  call.on('trailers', (received) => (trailers = received));
  call.on('response', (answer, flags) => {
    const isEnd = (flags & http2.constants.NGHTTP2_FLAG_END_STREAM) !== 0;
    stream.respond(answer, { endStream: isEnd, waitForTrailers: !isEnd });
    if (isEnd) return;
    stream.on('wantTrailers', () => stream.sendTrailers(trailers));
    call.pipe(stream);
  });
  stream.on('close', () => call.close());
  stream.pipe(call);
}

const portOf = (server: { address(): string | AddressInfo | null }) => (server.address() as AddressInfo).port;

/** The same server, by TLS, for HTTP/1.1. */
export async function startHttpsProxy(url: string, own: Pair): Promise<{ url: string; close(): Promise<void> }> {
  const target = new URL(url);
  const open = new Set<TLSSocket>();
  const server = tls.createServer({ cert: own.certificate, key: own.key }, (socket) => {
    const upstream = connect(Number(target.port), target.hostname);
    open.add(socket);
    socket.on('error', () => upstream.destroy()).on('close', () => (open.delete(socket), upstream.destroy()));
    upstream.on('error', () => socket.destroy());
    socket.pipe(upstream).pipe(socket);
  });
  server.on('tlsClientError', () => undefined).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { pathname } = target;
  return {
    url: `https://localhost:${portOf(server)}${pathname === '/' ? '' : pathname}`,
    async close() {
      server.close();
      for (const socket of open) socket.destroy();
      await once(server, 'close');
    },
  };
}
