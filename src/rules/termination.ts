/** What a termination covers. `grant`: every session opened under one support access grant. */
export const terminationScopeKinds = ['session', 'user', 'organization', 'grant'] as const;
export type TerminationScopeKind = (typeof terminationScopeKinds)[number];
export interface TerminationScope {
  kind: TerminationScopeKind;
  id: string;
}

export const terminationStatuses = ['running', 'completed'] as const;
export type TerminationStatus = (typeof terminationStatuses)[number];

/** The only words about a failed call that are stored or shown: never a response body. */
export const errorClasses = [
  'unreachable',
  'timeout',
  'throttled',
  'server-error',
  'unauthorized',
  'rejected',
  'bad-response',
] as const;
export type ErrorClass = (typeof errorClasses)[number];

/** No outcome for this long and work still pending: shown as `stalled`. */
export const stalledAfterSeconds = 120;

/** Who decided, as the audit and the resources show it. */
export interface Actor {
  kind: 'org-admin' | 'global-admin' | 'machine' | 'operator' | 'system';
  id: string;
  sessionId: string | null;
  supportAccessGrantId: string | null;
}

/** Who decided, as it is recorded: with the issuer of their token, which records of before it was kept do not have. */
export interface RecordedActor extends Actor {
  issuer?: string;
}

/** As it is shown; the issuer stands in the audit event's details. */
export const shownActor = ({ kind, id, sessionId, supportAccessGrantId }: RecordedActor): Actor => ({
  kind,
  id,
  sessionId,
  supportAccessGrantId,
});

/** What somebody outside can keep of a verified termination: `jws` is compact, its payload the other fields. */
export interface TerminationReceipt extends Pick<
  TerminationView,
  'organizationId' | 'scope' | 'cutoff' | 'requestedAt' | 'requestedBy' | 'sessions' | 'chains'
> {
  terminationId: string;
  completedAt: string;
  verifiedAt: string;
  /** The place of its `termination.completed` in the organization's audit chain. */
  audit: { sequence: number; hash: string };
  jws: string;
}

/** A termination as the interface shows it. `accessEndsBy` is null while anything is pending. */
export interface TerminationView {
  id: string;
  organizationId: string;
  scope: TerminationScope;
  status: TerminationStatus;
  cutoff: string;
  requestedAt: string;
  requestedBy: Actor;
  reason: string | null;
  /** Sessions in scope that go on. */
  keptSessionIds: string[];
  sessions: { total: number; pending: number };
  chains: { total: number; confirmed: number; alreadyDead: number; pending: number };
  attempts: number;
  lastErrorClass: ErrorClass | null;
  stalled: boolean;
  completedAt: string | null;
  verifiedAt: string | null;
  accessEndsBy: string | null;
}
