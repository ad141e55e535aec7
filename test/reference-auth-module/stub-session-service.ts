import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { decodeJwt, type JWTPayload } from 'jose';
import type { SessionEvent } from '../../reference-auth-module/session-events/session-event.ts';

type Outcome = { outcome: 'accepted' | 'duplicate' | 'stale' | 'rejected' | 'nonsense'; reason?: string };
export interface Check {
  decision: 'allow' | 'deny' | 'perhaps';
  reason: string;
  grantId: string | null;
  notAfter: string | null;
}

/** Stands in for the Session Management Service: remembers what it was told and answers as a test wants. */
export interface StubService {
  url: string;
  events: SessionEvent[];
  batches: { size: number; sentAt: string; caller: JWTPayload }[];
  checks: { body: unknown; caller: JWTPayload }[];
  /** Default: accepts everything. */
  answer: (event: SessionEvent) => Outcome | Promise<Outcome>;
  check: () => Check | Promise<Check>;
  /** While true every call is answered 503, and nothing is remembered. */
  down: boolean;
  of(sessionId: unknown): SessionEvent[];
  reset(): void;
  stop(): Promise<void>;
}

const denied: Check = { decision: 'deny', reason: 'no-grant', grantId: null, notAfter: null };

export async function startStubService(): Promise<StubService> {
  const server = createServer((request, response) => void respond(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));

  const address = server.address();
  const stub: StubService = {
    url: `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`,
    events: [],
    batches: [],
    checks: [],
    answer: () => ({ outcome: 'accepted' }),
    check: () => denied,
    down: false,
    of: (sessionId) => stub.events.filter((event) => event.sessionId === sessionId),
    reset() {
      Object.assign(stub, { answer: () => ({ outcome: 'accepted' }), check: () => denied, down: false });
      for (const list of [stub.events, stub.batches, stub.checks]) list.length = 0;
    },
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };

  async function respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (stub.down) return void response.writeHead(503).end();
    const body = JSON.parse((await buffer(request)).toString());
    const caller = decodeJwt((request.headers.authorization ?? '').replace('Bearer ', ''));
    const answer = request.url === '/v1/session-events' ? await record(body, caller) : await decide(body, caller);
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
  }

  async function record({ events, sentAt }: { events: SessionEvent[]; sentAt: string }, caller: JWTPayload) {
    stub.batches.push({ size: events.length, sentAt, caller });
    const results = [];
    for (const event of events) {
      stub.events.push(event);
      results.push({ eventId: event.eventId, ...(await stub.answer(event)) });
    }
    return { results };
  }

  async function decide(body: unknown, caller: JWTPayload) {
    stub.checks.push({ body, caller });
    return { ...(await stub.check()), maxAgeSeconds: 5 };
  }
  return stub;
}
