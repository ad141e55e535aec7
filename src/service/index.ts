/**
 * The service, in process: the same functions that the HTTP endpoints call. One decision per file; this is the list.
 * Every function throws `ServiceError` and nothing else for what it refuses.
 */
import type { Transaction } from '../database.ts';
import type { AdminContext } from '../rules/access.ts';
import type { AuditEventView, SignedAuditHead } from '../rules/audit.ts';
import type { SessionView } from '../rules/session.ts';
import type { GrantView, SupportAccessDecision, SupportAccessFlag } from '../rules/support-access-grant.ts';
import type { TerminationReceipt, TerminationView } from '../rules/termination.ts';

export interface Page<T> {
  items: T[];
  /** Where the next page begins (rows strictly after it); null at the end. */
  next: PagePosition | null;
}
/** A place in a list: an instant (RFC 3339, ms; null where ids alone order the list) and an id. The API makes an opaque cursor of it. */
export interface PagePosition {
  at: string | null;
  id: string;
}
export interface PageRequest {
  limit?: number;
  after?: PagePosition | null;
}

export interface TerminateOptions {
  reason?: string | null;
  /** Sessions to keep; not on a single session. */
  exceptSessionIds?: readonly string[];
  /** End the caller's own session too; not on a single session. */
  includeOwn?: boolean;
  /** How long to wait for `completed`, in seconds; 0 answers from the decision alone. */
  waitSeconds?: number;
  /** Called inside the decision's transaction with the id that was decided, for an idempotency key. */
  onDecided?: OnDecided;
}
/** Records, in the decision's own transaction, which resource an idempotency key decided. */
export type OnDecided = (
  transaction: Transaction,
  resource: { kind: 'termination' | 'grant'; id: string },
) => Promise<void>;

export interface SessionEventResult {
  eventId: string | null;
  outcome: 'accepted' | 'duplicate' | 'stale' | 'rejected';
  reason?: string;
}

export interface SessionManagementService {
  getActiveSessions(
    userId: string,
    context: AdminContext,
    options?: PageRequest & { status?: 'active' | 'ended' | 'all' },
  ): Promise<Page<SessionView>>;
  terminateSession(sessionId: string, context: AdminContext, options?: TerminateOptions): Promise<TerminationView>;
  terminateAllSessions(userId: string, context: AdminContext, options?: TerminateOptions): Promise<TerminationView>;
  terminateOrganizationSessions(context: AdminContext, options?: TerminateOptions): Promise<TerminationView>;
  getTermination(terminationId: string, context: AdminContext): Promise<TerminationView>;
  listTerminations(context: AdminContext, options?: PageRequest): Promise<Page<TerminationView>>;
  /** Signed. Throws `not-verified-yet` until it is verified and its outcome is sealed; `not-found` also where there is no key. */
  getTerminationReceipt(terminationId: string, context: AdminContext): Promise<TerminationReceipt>;
  /** Yields the termination now and after every change, until it is verified or `signal` aborts. */
  watchTermination(terminationId: string, context: AdminContext, signal: AbortSignal): AsyncIterable<TerminationView>;
  createSupportAccessGrant(
    userId: string | null,
    expiresAt: string,
    context: AdminContext,
    options?: { reason?: string | null; onDecided?: OnDecided },
  ): Promise<GrantView>;
  getSupportAccessGrant(grantId: string, context: AdminContext): Promise<GrantView>;
  listSupportAccessGrants(context: AdminContext, options?: PageRequest): Promise<Page<GrantView>>;
  changeSupportAccessGrant(
    grantId: string,
    expiresAt: string,
    context: AdminContext,
    options?: { ifRevision?: number },
  ): Promise<GrantView>;
  revokeSupportAccessGrant(
    grantId: string,
    context: AdminContext,
    options?: { reason?: string | null; onDecided?: OnDecided },
  ): Promise<GrantView>;
  getSupportAccess(context: AdminContext): Promise<SupportAccessFlag>;
  allowSupportAccess(
    until: { allowUntil: string; timeZone?: string | null },
    context: AdminContext,
  ): Promise<SupportAccessFlag>;
  endSupportAccess(context: AdminContext): Promise<SupportAccessFlag>;
  /** `machineOf`: the only organization that the asking machine speaks for; null: it speaks for all. */
  checkSupportAccess(
    question: { organizationId: string; userId: string; role: string; sessionId?: string },
    machineOf: string | null,
  ): Promise<SupportAccessDecision>;
  listAuditEvents(context: AdminContext, options?: PageRequest & AuditFilter): Promise<Page<AuditEventView>>;
  /** Everything that matches, newest first, in pages of bounded size; nothing is held in memory. */
  exportAuditEvents(context: AdminContext, filter: AuditFilter, signal: AbortSignal): AsyncIterable<AuditEventView>;
  /** The latest signed head of the organization's chain. Throws `not-found` where there is none, or no key. */
  getAuditHead(context: AdminContext): Promise<SignedAuditHead>;
  /** `body` is the parsed request: `{ events, sentAt? }`. A malformed event rejects itself, never its batch. */
  recordSessionEvents(
    body: { events: readonly unknown[]; sentAt?: string },
    organizationId: string | null,
  ): Promise<SessionEventResult[]>;
}

export interface AuditFilter {
  action?: string;
  actorId?: string;
  subjectId?: string;
  /** Inclusive. */
  from?: string;
  /** Exclusive. */
  to?: string;
}
