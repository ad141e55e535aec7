import type { IncomingMessage, ServerResponse } from 'node:http';
import { z } from 'zod';
import { startHttpServer } from './http-server.ts';

/** One refresh-token chain, as the Auth Module knows it. */
export interface Chain {
  chainId: string;
  sessionId: string;
  userId: string;
  organizationId: string;
  sessionStartedAt: string;
  supportAccessGrantId: string | null;
}

const id = z.string().min(1).max(255);
const SearchBody = z.strictObject({
  organizationId: id,
  userId: id.optional(),
  sessionIds: z.array(id).min(1).optional(),
  supportAccessGrantId: id.optional(),
  sessionStartedAtOrBefore: z.iso.datetime().optional(),
  cursor: z.string().min(1).optional(),
});
const InvalidateBody = z.strictObject({
  organizationId: id,
  terminationId: z.uuidv7(),
  sessionIds: z.array(id).max(500),
  chainIds: z.array(id).max(500),
});
export type Search = z.infer<typeof SearchBody>;
export type Invalidation = z.infer<typeof InvalidateBody>;
export type Call = { kind: 'search'; body: Search } | { kind: 'invalidate'; body: Invalidation };

export type Outcome = 'invalidated' | 'already-dead' | 'failed';
export interface InvalidateAnswer {
  chains: { chainId: string; outcome: Outcome }[];
  sessions: { sessionId: string; outcome: Outcome }[];
}
export interface SearchAnswer {
  chains: Chain[];
  nextCursor: string | null;
}

/** Answers in the place of the honest Auth Module, which acts only when it is asked. */
export type Fault = (call: Call, response: ServerResponse, honestly: () => SearchAnswer | InvalidateAnswer) => void;

export interface AuthModule {
  url: string;
  bearer: string;
  /** A sign-in gets a chain that can mint tokens. */
  open(chain: Chain): void;
  isAlive(chain: Pick<Chain, 'organizationId' | 'chainId'>): boolean;
  /** Its own housekeeping: the chain is dead before anybody asks. */
  kill(chain: Pick<Chain, 'organizationId' | 'chainId'>): void;
  /** From now on the calls for this organization fail so; `undefined` mends it. */
  fail(organizationId: string, fault: Fault | undefined): void;
  calls(organizationId: string): Call[];
  /** Calls that are not the contract, in words. */
  violations: string[];
  stop(): Promise<void>;
}

const PAGE = 2; // so that whoever does not follow the cursor loses chains

/** An Auth Module in memory, by the contract and nothing else. */
export async function startAuthModule(): Promise<AuthModule> {
  const bearer = 'a-secret-of-the-auth-module';
  const alive = new Map<string, Chain>();
  const endedSignIns = new Set<string>();
  const signIns = new Set<string>();
  const faults = new Map<string, Fault>();
  const calls: Call[] = [];
  const violations: string[] = [];
  const key = (organizationId: string, one: string) => `${organizationId} ${one}`;

  const search = (asked: Search): SearchAnswer => {
    const found = [...alive.values()]
      .filter((chain) => isInQuestion(chain, asked) && chain.chainId > (asked.cursor ?? ''))
      .toSorted((one, other) => (one.chainId < other.chainId ? -1 : 1));
    const chains = found.slice(0, PAGE);
    return { chains, nextCursor: found.length > PAGE ? chains.at(-1)!.chainId : null };
  };
  const invalidate = ({ organizationId, sessionIds, chainIds }: Invalidation): InvalidateAnswer => ({
    chains: chainIds.map((chainId) => ({
      chainId,
      outcome: alive.delete(key(organizationId, chainId)) ? 'invalidated' : 'already-dead',
    })),
    sessions: sessionIds.map((sessionId) => {
      const signIn = key(organizationId, sessionId);
      const isOpen = signIns.has(signIn) && !endedSignIns.has(signIn);
      endedSignIns.add(signIn);
      return { sessionId, outcome: isOpen ? 'invalidated' : 'already-dead' };
    }),
  });

  const server = await startHttpServer((request, response) => {
    void readCall(request).then((read) => {
      if (typeof read === 'string' || request.headers.authorization !== `Bearer ${bearer}`) {
        violations.push(`${request.method} ${request.url}: ${typeof read === 'string' ? read : 'not our bearer'}`);
        return response.writeHead(400).end();
      }
      calls.push(read);
      const honestly = () => (read.kind === 'search' ? search(read.body) : invalidate(read.body));
      const fault = faults.get(read.body.organizationId);
      return fault ? fault(read, response, honestly) : sayJson(response, honestly());
    });
  });
  return {
    url: server.url,
    bearer,
    violations,
    open(chain) {
      alive.set(key(chain.organizationId, chain.chainId), chain);
      signIns.add(key(chain.organizationId, chain.sessionId));
    },
    isAlive: ({ organizationId, chainId }) => alive.has(key(organizationId, chainId)),
    kill: ({ organizationId, chainId }) => void alive.delete(key(organizationId, chainId)),
    fail: (organizationId, fault) => void (fault ? faults.set(organizationId, fault) : faults.delete(organizationId)),
    calls: (organizationId) => calls.filter(({ body }) => body.organizationId === organizationId),
    stop: () => server.stop(),
  };
}

const isInQuestion = (chain: Chain, asked: Search) =>
  chain.organizationId === asked.organizationId &&
  (asked.userId === undefined || chain.userId === asked.userId) &&
  (asked.sessionIds === undefined || asked.sessionIds.includes(chain.sessionId)) &&
  (asked.supportAccessGrantId === undefined || chain.supportAccessGrantId === asked.supportAccessGrantId) &&
  (asked.sessionStartedAtOrBefore === undefined ||
    Date.parse(chain.sessionStartedAt) <= Date.parse(asked.sessionStartedAtOrBefore));

/** The call, or in words why it is none. */
async function readCall(request: IncomingMessage): Promise<Call | string> {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  if (request.method !== 'POST') return 'not a POST';
  if (!request.headers['content-type']?.startsWith('application/json')) return 'not JSON';
  try {
    const body: unknown = JSON.parse(Buffer.concat(pieces).toString());
    if (request.url === '/refresh-chains/search') return { kind: 'search', body: SearchBody.parse(body) };
    if (request.url === '/refresh-chains/invalidate') return { kind: 'invalidate', body: InvalidateBody.parse(body) };
    return 'unknown path';
  } catch (error) {
    return String(error);
  }
}

const sayJson = (response: ServerResponse, body: unknown) =>
  response.setHeader('content-type', 'application/json').end(JSON.stringify(body));

/** Every way in which an Auth Module fails to confirm. */
export const faults = {
  answers:
    (status: number): Fault =>
    (_call, response) =>
      void response.writeHead(status).end(),
  resets: ((_call, response) => void response.destroy()) as Fault,
  hangs: (() => undefined) as Fault,
  says:
    (text: string): Fault =>
    (_call, response) =>
      void response.setHeader('content-type', 'application/json').end(text),
  /** Honest about searches; the answer to an invalidation is changed before it leaves. */
  bends:
    (bend: (answer: InvalidateAnswer) => InvalidateAnswer): Fault =>
    (call, response, honestly) =>
      void sayJson(response, call.kind === 'search' ? honestly() : bend(honestly() as InvalidateAnswer)),
  /** Cannot kill this chain, which stays alive, and does everything else. */
  cannotKill:
    (chain: Chain, authModule: AuthModule): Fault =>
    (call, response, honestly) => {
      const answer = honestly();
      if (call.kind === 'search' || !call.body.chainIds.includes(chain.chainId)) return void sayJson(response, answer);
      authModule.open(chain);
      const chains = (answer as InvalidateAnswer).chains.map((one) =>
        one.chainId === chain.chainId ? { ...one, outcome: 'failed' as const } : one,
      );
      return void sayJson(response, { ...answer, chains });
    },
  /** Answers searches with a chain that nobody asked for. */
  strays:
    (stray: Chain): Fault =>
    (call, response, honestly) => {
      const answer = honestly();
      return void sayJson(response, 'nextCursor' in answer ? { ...answer, chains: [...answer.chains, stray] } : answer);
    },
};
