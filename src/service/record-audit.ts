import { sql } from 'kysely';
import { rows, type Transaction } from '../database.ts';
import type { AuditAction, AuditSubject } from '../rules/audit.ts';
import type { Actor, RecordedActor } from '../rules/termination.ts';

export interface NewAuditEvent {
  organizationId: string;
  action: AuditAction;
  actor: RecordedActor;
  subject: AuditSubject;
  reason?: string | null;
  details?: Record<string, unknown>;
}

/** The service itself, for what nobody asked for: expiry, completion, a rejected start. */
export const systemActor: Actor = {
  kind: 'system',
  id: 'session-management',
  sessionId: null,
  supportAccessGrantId: null,
};

/** Writes facts in the transaction of the decision they record: both are true or neither is. */
export async function recordAudit(transaction: Transaction, events: readonly NewAuditEvent[]): Promise<void> {
  if (events.length === 0) return;
  const documents = events.map((event) => ({
    ...event,
    subjectKind: event.subject.kind,
    subjectId: event.subject.id,
    details: event.details ?? {},
  }));
  await rows(
    transaction,
    sql`insert into audit_events (organization_id, at, action, actor, subject_kind, subject_id, reason, details)
      select e."organizationId", current_instant(), e.action, e.actor, e."subjectKind", e."subjectId", e.reason, e.details
      from jsonb_to_recordset(${JSON.stringify(documents)}::jsonb) as e("organizationId" text, action text, actor jsonb, "subjectKind" text, "subjectId" text, reason text, details jsonb)`,
  );
}
