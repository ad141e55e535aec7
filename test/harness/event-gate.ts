import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';

export interface GatedEvent {
  eventId: string;
  type: string;
  sessionId: string;
  chainId?: string;
}
export interface GatedAnswer {
  status: number;
  body: string;
}
export interface GatedRequest {
  path: string;
  /** Of `/v1/session-events`; none of other calls. */
  events: GatedEvent[];
  /** Hands it on; with `only`, only those of its events. */
  forward: (only?: readonly GatedEvent[]) => Promise<GatedAnswer>;
}

/** The way from the Auth Module to the Session Management Service, which a test can make as bad as it wants. */
export interface EventGate {
  url: string;
  /** Where it leads to. */
  target: string;
  /** Default: hands everything on. */
  handle: (request: GatedRequest) => Promise<GatedAnswer>;
  /** How often the service itself answered with which status. */
  answers: Map<number, number>;
  /** Hands everything on again. */
  open(): void;
  stop(): Promise<void>;
}

const handOn = ({ forward }: GatedRequest) => forward();
export const serviceUnavailable: GatedAnswer = { status: 503, body: '{}' };

/** Answers as if everything had been recorded, and hands on only what `hears` lets through: the rest is lost for good. */
export const losing =
  (hears: (event: GatedEvent) => boolean) =>
  async ({ path, events, forward }: GatedRequest): Promise<GatedAnswer> => {
    if (path !== '/v1/session-events') return forward();
    const heard = events.filter(hears);
    const answer: GatedAnswer = heard.length === 0 ? { status: 200, body: '{"results":[]}' } : await forward(heard);
    if (answer.status !== 200) return answer;
    const told = (JSON.parse(answer.body) as { results: { eventId: string }[] }).results;
    const results = events.map(
      ({ eventId }) => told.find((r) => r.eventId === eventId) ?? { eventId, outcome: 'accepted' },
    );
    return { status: 200, body: JSON.stringify({ results }) };
  };

export async function startEventGate(): Promise<EventGate> {
  const server = createServer((request, response) => void respond(request, response));
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const gate: EventGate = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    target: '',
    handle: handOn,
    answers: new Map(),
    open: () => void (gate.handle = handOn),
    stop: () =>
      new Promise((stopped) => {
        server.close(() => stopped());
        server.closeAllConnections();
      }),
  };

  async function respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url ?? '/';
    const text = (await buffer(request)).toString();
    const whole = JSON.parse(text) as { events?: GatedEvent[] };
    const send = async (body: string): Promise<GatedAnswer> => {
      const { authorization = '' } = request.headers;
      const headers = { authorization, 'content-type': 'application/json' };
      const answer = await fetch(`${gate.target}${path}`, { method: 'POST', headers, body });
      gate.answers.set(answer.status, (gate.answers.get(answer.status) ?? 0) + 1);
      return { status: answer.status, body: await answer.text() };
    };
    const forward = (only?: readonly GatedEvent[]) =>
      send(only === undefined ? text : JSON.stringify({ ...whole, events: only }));
    // nobody listens there while a test has the API stopped
    const { status, body } = await gate
      .handle({ path, events: whole.events ?? [], forward })
      .catch(() => serviceUnavailable);
    response.writeHead(status, { 'content-type': 'application/json' }).end(body);
  }
  return gate;
}
