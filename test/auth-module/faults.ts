import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RefreshChain } from '../../src/auth-module/auth-module.ts';
import type { ChainStore } from './chain-store.ts';
import type { InvalidateBody, SearchBody } from './faulty-calls.ts';

/** Everything an Auth Module can do wrong. Those that answer truthfully but late or twice still act on the chains. */
export type Fault =
  | { kind: 'refuse' }
  | { kind: 'hang' }
  | { kind: 'hang-in-body' }
  | { kind: 'reset-in-body' }
  | { kind: 'not-http' }
  | { kind: 'status'; status: number; retryAfter?: string; location?: string }
  | { kind: 'malformed-json' }
  | { kind: 'invalid-utf8' }
  | { kind: 'body'; body: unknown }
  | { kind: 'too-large'; bytes: number }
  /** No outcome for these ids, or for any. They are acted upon nevertheless. */
  | { kind: 'missing-outcomes'; ids?: readonly string[] }
  /** An outcome for an id that was not asked. */
  | { kind: 'extra-outcomes'; chainId?: string }
  /** Two outcomes for each of these ids. */
  | { kind: 'contradictory-outcomes'; ids: readonly string[] }
  /** One chain more in a search, made of the first one (or of the question) and these fields. */
  | { kind: 'foreign-chain'; chain: Partial<RefreshChain> }
  | { kind: 'repeat-cursor'; cursor: string }
  /** Outcome `failed` for these ids, which are left as they are; the others of the page fare well. */
  | { kind: 'poison'; ids: readonly string[] }
  /** Says `invalidated` and leaves everything alive. */
  | { kind: 'lie' }
  /** Answers truthfully; then these chains, or all of the page, live again. */
  | { kind: 'resurrect'; chainIds?: readonly string[] }
  | { kind: 'slow'; latencyMs: number }
  /** Acts and answers truthfully, but not before this. */
  | { kind: 'held'; until: Promise<unknown> }
  /** Acts at once; what it found to be true is on its way until this. */
  | { kind: 'late-answer'; until: Promise<unknown> };

/** One call as it came in. `status` is null until answered, and stays null where the fault left it without one. */
export type Call = { organizationId: string; at: number; status: number | null; traceparent?: string } & (
  { endpoint: 'search'; body: SearchBody } | { endpoint: 'invalidate'; body: InvalidateBody }
);

export interface Answer {
  chains: Record<string, unknown>[];
  sessions?: Record<string, unknown>[];
  nextCursor?: string | null;
}

/** Faults of the transport, in place of an answer; true where one was committed. */
export async function commitTransportFault(
  fault: Fault,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<boolean> {
  const json = (status: number, text: string | Buffer) =>
    void response.writeHead(status, { 'content-type': 'application/json' }).end(text);
  if (fault.kind === 'refuse') request.socket.destroy();
  else if (fault.kind === 'hang-in-body') response.writeHead(200, { 'content-length': '1000' }).write('{"chains":');
  else if (fault.kind === 'reset-in-body') {
    response.writeHead(200, { 'content-length': '1000' }).write('{"chains":');
    await sleep(20);
    request.socket.resetAndDestroy();
  } else if (fault.kind === 'not-http') request.socket.end('SSH-2.0-OpenSSH_9.9\r\n');
  else if (fault.kind === 'status') {
    if (fault.retryAfter !== undefined) response.setHeader('retry-after', fault.retryAfter);
    if (fault.location !== undefined) response.setHeader('location', fault.location);
    json(fault.status, '{"error":"secret-of-the-body"}');
  } else if (fault.kind === 'malformed-json') json(200, '{"chains":[secret-of-the-body');
  else if (fault.kind === 'invalid-utf8') json(200, Buffer.from([0x7b, 0xff, 0xfe, 0x7d]));
  else if (fault.kind === 'body') json(200, JSON.stringify(fault.body));
  else if (fault.kind === 'too-large')
    json(200, JSON.stringify({ chains: [], nextCursor: null, padding: 'x'.repeat(fault.bytes) }));
  return response.headersSent || request.socket.destroyed || ['hang', 'not-http'].includes(fault.kind);
}

const idOf = (each: Record<string, unknown>) => String(each.chainId ?? each.sessionId);
const both = (answer: Answer, edit: (list: Record<string, unknown>[]) => Record<string, unknown>[]): Answer => ({
  ...answer,
  chains: edit(answer.chains),
  ...(answer.sessions && { sessions: edit(answer.sessions) }),
});

/** Faults of the contents: the answer as it is sent instead of the true one. */
export function distort(answer: Answer, fault: Fault, call: Call, store: ChainStore): Answer {
  switch (fault.kind) {
    case 'missing-outcomes':
      return both(answer, (list) => list.filter((each) => fault.ids !== undefined && !fault.ids.includes(idOf(each))));
    case 'extra-outcomes':
      return {
        ...answer,
        chains: [...answer.chains, { chainId: fault.chainId ?? 'not-asked', outcome: 'invalidated' }],
      };
    case 'contradictory-outcomes':
      return both(answer, (list) =>
        list.flatMap((each) => (fault.ids.includes(idOf(each)) ? [each, { ...each, outcome: 'failed' }] : [each])),
      );
    case 'foreign-chain':
      return {
        ...answer,
        chains: [
          ...answer.chains,
          { ...(answer.chains[0] ?? chainInQuestion(call)), chainId: 'foreign', ...fault.chain },
        ],
      };
    case 'repeat-cursor':
      return { ...answer, nextCursor: fault.cursor };
    case 'resurrect':
      for (const chainId of fault.chainIds ?? (call.endpoint === 'invalidate' ? call.body.chainIds : []))
        store.resurrect(call.organizationId, chainId);
      return answer;
    default:
      return answer;
  }
}

const chainInQuestion = (call: Call): Record<string, unknown> => {
  const search: Partial<SearchBody> = call.endpoint === 'search' ? call.body : {};
  return {
    sessionId: search.sessionIds?.[0] ?? 'some-session',
    userId: search.userId ?? 'user-1',
    organizationId: call.organizationId,
    sessionStartedAt: search.sessionStartedAtOrBefore ?? '2026-01-01T00:00:00.000Z',
    supportAccessGrantId: search.supportAccessGrantId ?? null,
  };
};
