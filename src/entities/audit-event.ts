import { defineEntity, p } from '@mikro-orm/core';
import type { AuditAction, AuditSubject } from '../rules/audit.ts';
import type { RecordedActor } from '../rules/termination.ts';

/** One fact that is never changed or removed; the database refuses both for every role. Its place in the hash chain is in `audit_seals`. */
export const AuditEvent = defineEntity({
  name: 'AuditEvent',
  tableName: 'audit_events',
  properties: {
    id: p.uuid().primary().defaultRaw('uuidv7()'),
    organizationId: p.text(),
    at: p.datetime(3),
    action: p.text().$type<AuditAction>(),
    actor: p.json<RecordedActor>(),
    subjectKind: p.text().$type<AuditSubject['kind']>(),
    subjectId: p.text(),
    reason: p.text().nullable(),
    details: p.json<Record<string, unknown>>(),
  },
});
