import { sql } from 'kysely';
import { rows, type Transaction } from '../../database.ts';
import type { SessionRecord } from '../../rules/session-event.ts';
import { type NewAuditEvent, recordAudit, systemActor } from '../record-audit.ts';

/** The customer's audit shows every support session that began (`told`: of which no grant was known before), with its grant and staff member, and every one that signed out. */
export async function recordSupportSessions(
  transaction: Transaction,
  told: readonly SessionRecord[],
  ended: readonly SessionRecord[],
): Promise<void> {
  const isSupport = (record: SessionRecord) => record.supportAccessGrantId !== null;
  const begun = told.filter(isSupport);
  if (begun.length === 0 && !ended.some(isSupport)) return;
  const refused = await rows<{ organization_id: string; id: string }>(
    transaction,
    sql`select organization_id, id from session_states where over_at is not null
      and (organization_id, id) in (select o, i from jsonb_to_recordset(${JSON.stringify(begun.map((r) => ({ o: r.organizationId, i: r.id })))}::jsonb) as w(o text, i text))`,
  );
  const isRefused = (record: SessionRecord) =>
    refused.some((r) => r.organization_id === record.organizationId && r.id === record.id);
  const fact = (action: NewAuditEvent['action'], record: SessionRecord): NewAuditEvent => ({
    organizationId: record.organizationId,
    action,
    actor: { ...systemActor, supportAccessGrantId: record.supportAccessGrantId },
    subject: { kind: 'session', id: record.id },
    details: { grantId: record.supportAccessGrantId, userId: record.userId },
  });
  await recordAudit(transaction, [
    ...begun.filter((record) => !isRefused(record)).map((record) => fact('support-access.session-started', record)),
    ...ended.filter(isSupport).map((record) => fact('support-access.session-ended', record)),
  ]);
}
