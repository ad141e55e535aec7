import { isRefusal } from '../rules/retry.ts';
import type { ErrorClass } from '../rules/termination.ts';

/** A chain that can still mint tokens, as the Auth Module tells it. Offline chains count. */
export interface RefreshChain {
  chainId: string;
  sessionId: string;
  userId: string;
  organizationId: string;
  /** Start of the *session*, RFC 3339 UTC with milliseconds: never a later client's or rotation's. */
  sessionStartedAt: string;
  supportAccessGrantId: string | null;
}

/** Every filter narrows; an absent one does not. An empty one is a programming error, for it could be read as absent. */
export interface ChainSearch {
  organizationId: string;
  userId?: string;
  sessionIds?: readonly string[];
  supportAccessGrantId?: string;
  /** RFC 3339 instant, compared with the session's start; inclusive. */
  sessionStartedAtOrBefore?: string;
}

/** `nextCursor` is null at the end, and only there. */
export interface ChainPage {
  chains: RefreshChain[];
  nextCursor: string | null;
}

/** Most chains, and most sessions, of one invalidation. */
export const invalidationLimit = 500;

export interface InvalidationRequest {
  organizationId: string;
  terminationId: string;
  /** Sign-ins to end: no new code and no new chain in them. May be empty where `chainIds` is not, and the reverse. */
  sessionIds: readonly string[];
  chainIds: readonly string[];
}

/** What the Auth Module says of one id. `already-dead` is also the word for an id that it does not know. */
export const chainOutcomes = ['invalidated', 'already-dead', 'failed'] as const;
export type ChainOutcome = (typeof chainOutcomes)[number];

/**
 * An answer that counts, id by id: record what is confirmed and keep the rest pending, each with `pendingClassOf` its
 * outcome. Both maps hold only ids that were asked; an id that is absent got no outcome, or two that contradict.
 */
export interface InvalidationResult {
  chains: ReadonlyMap<string, ChainOutcome>;
  sessions: ReadonlyMap<string, ChainOutcome>;
  /** Null when every id is confirmed; else `bad-response` when one has no outcome, else `rejected` when one failed. */
  errorClass: ErrorClass | null;
}

/**
 * The external system that signs people in and keeps refresh-token chains. Every adapter passes the contract suite.
 * Both calls throw `AuthModuleError` when the call as a whole was not answered, and the signal's reason when the
 * caller gave up; neither retries.
 */
export interface AuthModule {
  /** One page of the chains in question that can still mint tokens. A page with one chain outside it throws whole. */
  listRefreshChains(search: ChainSearch, cursor: string | null, signal?: AbortSignal): Promise<ChainPage>;
  /** Kills chains and ends sign-ins. Idempotent: a repeat answers `already-dead`. */
  invalidateRefreshChains(request: InvalidationRequest, signal?: AbortSignal): Promise<InvalidationResult>;
}

/** Why an id stays pending, or null when it is confirmed. `undefined`: the answer had no outcome for it. */
export function pendingClassOf(outcome: ChainOutcome | undefined): ErrorClass | null {
  if (outcome === undefined) return 'bad-response';
  return outcome === 'failed' ? 'rejected' : null;
}

/**
 * A call that confirmed nothing. The message is made of class and status alone, and there is no cause: nothing that
 * the Auth Module wrote can reach a history, a log or a client through it.
 */
export class AuthModuleError extends Error {
  readonly errorClass: ErrorClass;
  /** HTTP status of the answer; null where there was none. */
  readonly status: number | null;
  /** Wait asked for by `Retry-After` of a 429 or 503, within 1 s … 15 min; else null. */
  readonly retryAfterMs: number | null;

  constructor(errorClass: ErrorClass, status: number | null = null, retryAfterMs: number | null = null) {
    super(`The Auth Module did not confirm: ${errorClass}${status === null ? '' : ` (${status})`}`);
    this.name = 'AuthModuleError';
    this.errorClass = errorClass;
    this.status = status;
    this.retryAfterMs = retryAfterMs;
  }

  /** The call was refused as a whole (4xx other than 408, 425, 429): patient at once, with an alert. */
  get refused(): boolean {
    return isRefusal(this.status);
  }
}
