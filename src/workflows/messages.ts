/** What travels to and from workflows: inputs, signals, queries and ids. Ids, counts and codes only; never free text. */
import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type { ErrorClass } from '../rules/termination.ts';

export interface TerminationInput {
  terminationId: string;
}
export interface GrantInput {
  grantId: string;
}

/** Workflow ids derive from row ids, so that starting twice is harmless. */
export const terminationWorkflowId = (terminationId: string): string => `termination:${terminationId}`;
export const grantWorkflowId = (grantId: string): string => `support-access-grant:${grantId}`;
/** What a workflow is about, by its id. */
export function subjectOf(workflowId: string | undefined): { terminationId?: string; grantId?: string } {
  const [, kind, id] = /^(termination|support-access-grant):(.+)$/.exec(workflowId ?? '') ?? [];
  if (id === undefined) return {};
  return kind === 'termination' ? { terminationId: id } : { grantId: id };
}

/** The names under which the worker's bundle registers the workflows. */
export const terminateSessionsWorkflow = 'terminateSessions';
export const supportAccessGrantWorkflow = 'supportAccessGrant';

/** "Look again": the row has changed. Carries nothing; a lost, late, doubled or reordered one changes nothing. */
export const changed = defineSignal('changed');
/** An operator's: make the next attempt now instead of at the end of the patient delay. */
export const retryNow = defineSignal('retry-now');

export interface TerminationState {
  phase: 'ending' | 'waiting' | 'verifying' | 'verified' | 'gone';
  attempt: number;
  pendingSessions: number;
  pendingChains: number;
  lastErrorClass: ErrorClass | null;
}
export const terminationState = defineQuery<TerminationState>('state');

/** Waits until the grant's row was activated, or was not: `late` is an activation after its caller's deadline. */
export const activate = defineUpdate<GrantActivation>('activate');
export type GrantActivation = 'active' | 'refused' | 'late';
/** On its own enough to revoke: organization settings or an operator in the Temporal UI may send it. */
export const revoke = defineSignal<[{ revokedBy: string }]>('revoke');

export interface GrantState {
  phase: 'activating' | 'refused' | 'active' | 'ending' | 'cleared' | 'settled' | 'gone';
  /** RFC 3339 UTC. */
  expiresAt: string | null;
  sessionsLeft: number;
  /** Questions to the Auth Module in a row that were not answered. */
  attempt: number;
  lastErrorClass: ErrorClass | null;
}
export const grantState = defineQuery<GrantState>('state');

/** Search attributes an operator filters by in the Temporal UI. All are Keywords. */
export const searchAttributeNames = {
  organizationId: 'OrganizationId',
  scope: 'TerminationScope',
  phase: 'Phase',
  lastErrorClass: 'LastErrorClass',
} as const;
