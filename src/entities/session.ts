import { defineEntity, p } from '@mikro-orm/core';
import { invalidationOutcomes, sessionEndReasons } from '../rules/session.ts';

const instant = () => p.datetime(3);

/**
 * One sign-in of one user in one organization. What is stored is what was told and decided; whether it is active *now*
 * also depends on fences, grants and the clock: that is the view `session_states`.
 */
export const Session = defineEntity({
  name: 'Session',
  tableName: 'sessions',
  properties: {
    organizationId: p.text().primary(),
    id: p.text().primary(),
    userId: p.text(),
    startedAt: instant(),
    /** As first recorded; a trigger writes it, and refuses to change it. Lists are ordered by it. */
    firstStartedAt: instant(),
    recordedAt: instant(),
    fencedFrom: instant().generated('least(started_at, recorded_at) stored'),
    recordedOrder: p.bigint('string').defaultRaw(`nextval('record_order')`),
    lastSeenAt: instant(),
    expiresAt: instant().nullable(),
    /** When it left the indexes of active sessions. Whether it is expired only the clock says. */
    expiryMarkedAt: instant().nullable(),
    endedAt: instant().nullable(),
    endReason: p.enum(sessionEndReasons.filter((reason) => reason !== 'expired')).nullable(),
    terminationId: p.uuid().nullable(),
    signInOutcome: p.enum([...invalidationOutcomes]).nullable(),
    ipAddress: p.text().nullable(),
    userAgent: p.text().nullable(),
    client: p.text().nullable(),
    authenticationMethods: p.array(),
    toldAt: p.json<Record<string, number>>(),
    supportAccessGrantId: p.uuid().nullable(),
    parentOrganizationId: p.text().nullable(),
    parentSessionId: p.text().nullable(),
  },
});
