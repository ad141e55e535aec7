import { defineEntity, p } from '@mikro-orm/core';
import { grantEndReasons } from '../rules/support-access-grant.ts';
import type { RecordedActor } from '../rules/termination.ts';

const instant = () => p.datetime(3);

/**
 * An organization's permission for the vendor's Global Admins. Access is allowed iff
 * `startsAt <= current_instant() and accessEndedAt is null and expiresAt > current_instant()`, asked in the statement that uses it.
 */
export const SupportAccessGrant = defineEntity({
  name: 'SupportAccessGrant',
  tableName: 'support_access_grants',
  properties: {
    id: p.uuid().primary().defaultRaw('uuidv7()'),
    organizationId: p.text(),
    userId: p.text().nullable(),
    reason: p.text().nullable(),
    createdBy: p.json<RecordedActor>(),
    createdAt: instant(),
    activateBefore: instant(),
    voidedAt: instant().nullable(),
    startsAt: instant().nullable(),
    expiresAt: instant(),
    timeZone: p.text().nullable(),
    accessEndedAt: instant().nullable(),
    endReason: p.enum([...grantEndReasons]).nullable(),
    endedBy: p.json<RecordedActor>().nullable(),
    sessionsClearedAt: instant().nullable(),
    settledAt: instant().nullable(),
    progressAt: instant(),
    revision: p.integer().default(1),
    deliveredRevision: p.integer().default(0),
    nextLookAt: instant(),
    dispatchAfter: instant(),
    dispatchCount: p.integer().default(0),
  },
});
