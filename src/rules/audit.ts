import type { Actor } from './termination.ts';

export const auditActions = [
  'termination.requested',
  'termination.joined',
  'termination.completed',
  'termination.chain-resurfaced',
  'support-access.granted',
  'support-access.changed',
  'support-access.revoked',
  'support-access.expired',
  'support-access.session-started',
  'support-access.session-ended',
  'support-access.cleared',
] as const;
export type AuditAction = (typeof auditActions)[number];

export interface AuditSubject {
  kind: 'session' | 'user' | 'organization' | 'grant' | 'termination';
  id: string;
}

/** Where an organization's chain ended at an instant. */
export interface AuditHead {
  organizationId: string;
  sequence: number;
  hash: string;
  at: string;
}
/** `jws`: compact, its payload the other fields. */
export interface SignedAuditHead extends AuditHead {
  jws: string;
}

/** An audit event as the interface shows it; `hash` and `previousHash` are null until it is sealed into its organization's chain. */
export interface AuditEventView {
  id: string;
  at: string;
  action: AuditAction;
  actor: Actor;
  subject: AuditSubject;
  reason: string | null;
  details: Record<string, unknown>;
  hash: string | null;
  previousHash: string | null;
}
