import { z } from 'zod';
import { EARLIEST, LATEST } from '../rules/credible-instant.ts';
import { isUuid } from '../rules/identifier.ts';
import {
  AuthModuleError,
  chainOutcomes,
  type ChainOutcome,
  type ChainPage,
  type ChainSearch,
  type InvalidationRequest,
  type InvalidationResult,
  pendingClassOf,
  type RefreshChain,
} from './auth-module.ts';

/** Ids of the Auth Module: opaque, 1–255 printable characters. */
const opaqueId = z.string().regex(/^\P{C}{1,255}$/u);
/**
 * Normalised to UTC with milliseconds; finer digits are cut off, which only ever makes a start earlier. One that cannot be
 * meant is told as the nearest that can: its chain is alive, and has to be killed like any other.
 */
const instant = z.iso
  .datetime({ offset: true })
  .transform((text) => new Date(Math.min(Math.max(Date.parse(text), EARLIEST), LATEST)).toISOString());
/** What is no grant's id names no grant. (RFC 9562 §4: output is lower case, input may be either) */
const grantId = opaqueId.nullish().transform((id) => (id != null && isUuid(id) ? id.toLowerCase() : null));

/** Fields that the contract does not name are ignored; `nextCursor` must be there, for a lost one hides chains. */
const chainPage = z.object({
  chains: z.array(
    z.object({
      chainId: opaqueId,
      sessionId: opaqueId,
      userId: opaqueId,
      organizationId: opaqueId,
      sessionStartedAt: instant,
      supportAccessGrantId: grantId,
    }),
  ),
  nextCursor: z.string().min(1).max(4_096).nullable(),
});

const outcome = z.enum(chainOutcomes);
const invalidation = z.object({
  chains: z.array(z.object({ chainId: opaqueId, outcome })),
  sessions: z.array(z.object({ sessionId: opaqueId, outcome })),
});

/** Parsed, or `bad-response`. The details of what is wrong are dropped on purpose: they quote the body. */
function parsed<T>(schema: z.ZodType<T>, body: unknown): T {
  const result = schema.safeParse(body);
  if (!result.success) throw new AuthModuleError('bad-response');
  return result.data;
}

/**
 * A page of a search, checked against the question. `bad-response` for the whole page where one chain lies outside it,
 * where one id is told in two ways, or where the cursor stands still.
 */
export function readChainPage(body: unknown, search: ChainSearch, cursor: string | null): ChainPage {
  const page = parsed(chainPage, body);
  const isInQuestion = createQuestion(search);
  const chains = new Map<string, RefreshChain>();
  for (const chain of page.chains) {
    const twin = chains.get(chain.chainId);
    if (!isInQuestion(chain) || (twin !== undefined && !sameChain(twin, chain)))
      throw new AuthModuleError('bad-response');
    chains.set(chain.chainId, chain);
  }
  if (page.nextCursor !== null && page.nextCursor === cursor) throw new AuthModuleError('bad-response');
  return { chains: [...chains.values()], nextCursor: page.nextCursor };
}

function createQuestion(search: ChainSearch): (chain: RefreshChain) => boolean {
  const sessionIds = search.sessionIds && new Set(search.sessionIds);
  const cutoff = search.sessionStartedAtOrBefore === undefined ? Infinity : Date.parse(search.sessionStartedAtOrBefore);
  return (chain) =>
    chain.organizationId === search.organizationId &&
    (search.userId === undefined || chain.userId === search.userId) &&
    (search.supportAccessGrantId === undefined || chain.supportAccessGrantId === search.supportAccessGrantId) &&
    (sessionIds === undefined || sessionIds.has(chain.sessionId)) &&
    Date.parse(chain.sessionStartedAt) <= cutoff;
}

const sameChain = (a: RefreshChain, b: RefreshChain): boolean =>
  a.sessionId === b.sessionId &&
  a.userId === b.userId &&
  a.sessionStartedAt === b.sessionStartedAt &&
  a.supportAccessGrantId === b.supportAccessGrantId;

/** The outcomes of an invalidation. `bad-response` for the whole answer where an id was not asked: it is another's. */
export function readInvalidation(body: unknown, request: InvalidationRequest): InvalidationResult {
  const answer = parsed(invalidation, body);
  const chains = outcomesOf(
    request.chainIds,
    answer.chains.map((each) => [each.chainId, each.outcome]),
  );
  const sessions = outcomesOf(
    request.sessionIds,
    answer.sessions.map((each) => [each.sessionId, each.outcome]),
  );
  const classes = new Set([
    ...request.chainIds.map((id) => pendingClassOf(chains.get(id))),
    ...request.sessionIds.map((id) => pendingClassOf(sessions.get(id))),
  ]);
  const errorClass = classes.has('bad-response') ? 'bad-response' : classes.has('rejected') ? 'rejected' : null;
  return { chains, sessions, errorClass };
}

/** One outcome for each id; two that contradict are none. */
function outcomesOf(asked: readonly string[], told: [string, ChainOutcome][]): Map<string, ChainOutcome> {
  const known = new Set(asked);
  const outcomes = new Map<string, ChainOutcome>();
  const contradicted = new Set<string>();
  for (const [id, word] of told) {
    if (!known.has(id)) throw new AuthModuleError('bad-response');
    if (outcomes.has(id) && outcomes.get(id) !== word) contradicted.add(id);
    outcomes.set(id, word);
  }
  for (const id of contradicted) outcomes.delete(id);
  return outcomes;
}
