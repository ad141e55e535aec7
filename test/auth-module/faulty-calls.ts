import type { IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { z } from 'zod';
import type { ChainStore } from './chain-store.ts';
import type { Answer, Call, Fault } from './faults.ts';

const ids = z.array(z.string());
const search = z.object({
  organizationId: z.string().min(1),
  userId: z.string().min(1).optional(),
  sessionIds: ids.min(1).optional(),
  supportAccessGrantId: z.string().min(1).optional(),
  sessionStartedAtOrBefore: z.iso.datetime().optional(),
  cursor: z.string().optional(),
});
const invalidate = z
  .object({
    organizationId: z.string().min(1),
    terminationId: z.string().min(1),
    sessionIds: ids.max(500),
    chainIds: ids.max(500),
  })
  .refine(({ sessionIds, chainIds }) => sessionIds.length + chainIds.length > 0);

export type SearchBody = z.infer<typeof search>;
export type InvalidateBody = z.infer<typeof invalidate>;

/** The call, or the status that refuses it: 404 for method or path, 401 for the token, 400 for a body off the contract. */
export async function readCall(request: IncomingMessage, token: string): Promise<Call | number> {
  const body = await text(request);
  if (request.method !== 'POST') return 404;
  const isAuthorized = request.headers.authorization === `Bearer ${token}`;
  const { traceparent } = request.headers;
  const common = { at: Date.now(), status: null, ...(typeof traceparent === 'string' && { traceparent }) };
  if (request.url === '/refresh-chains/search') {
    const { data } = search.safeParse(JSON.parse(body));
    if (!isAuthorized || data === undefined) return isAuthorized ? 400 : 401;
    return { ...common, endpoint: 'search', organizationId: data.organizationId, body: data };
  }
  if (request.url !== '/refresh-chains/invalidate') return 404;
  const { data } = invalidate.safeParse(JSON.parse(body));
  if (!isAuthorized || data === undefined) return isAuthorized ? 400 : 401;
  return { ...common, endpoint: 'invalidate', organizationId: data.organizationId, body: data };
}

/** What is done and told before any distortion; `poison` and `lie` decide here, since they change what is done. */
export function answerOf(call: Call, store: ChainStore, faults: readonly Fault[], pageSize: number): Answer {
  if (call.endpoint === 'search') {
    const { chains, nextCursor } = store.search(call.body, call.body.cursor ?? null, pageSize);
    return { chains: chains.map((chain) => ({ ...chain })), nextCursor };
  }
  const { organizationId, body } = call;
  const poisoned = new Set(faults.flatMap((fault) => (fault.kind === 'poison' ? fault.ids : [])));
  const isLie = faults.some(({ kind }) => kind === 'lie');
  const outcomeOf = (id: string, act: (id: string) => string) =>
    poisoned.has(id) ? 'failed' : isLie ? 'invalidated' : act(id);
  return {
    chains: body.chainIds.map((chainId) => ({
      chainId,
      outcome: outcomeOf(chainId, (id) => store.invalidateChain(organizationId, id)),
    })),
    sessions: body.sessionIds.map((sessionId) => ({
      sessionId,
      outcome: outcomeOf(sessionId, (id) => store.endSession(organizationId, id)),
    })),
  };
}
