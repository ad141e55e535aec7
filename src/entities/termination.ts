import { defineEntity, p } from '@mikro-orm/core';
import { type RecordedActor, errorClasses, terminationScopeKinds, terminationStatuses } from '../rules/termination.ts';

const instant = () => p.datetime(3);
const counter = () => p.integer().default(0);

/**
 * The durable operation that ends sessions, and the fence: everything in its scope that was recorded when it was decided, or
 * that started at or before `cutoff`, is ended,
 * but for `keptSessionIds`. The row is its own outbox: `revision` moves with every decision, `deliveredRevision` follows.
 */
export const Termination = defineEntity({
  name: 'Termination',
  tableName: 'terminations',
  properties: {
    id: p.uuid().primary().defaultRaw('uuidv7()'),
    organizationId: p.text(),
    scopeKind: p.enum([...terminationScopeKinds]),
    scopeId: p.text(),
    cutoff: instant(),
    /** What was recorded with a lower number was recorded when this was decided. */
    decidedOrder: p.bigint('string').defaultRaw(`nextval('record_order')`),
    /** How far the fence reaches where the database's clock was ahead when it was decided. */
    holdsUntil: instant().defaultRaw(`'infinity'`),
    decidedAt: instant().nullable(),
    /** What the fence was before each join, oldest first. */
    earlierDecisions: p.json<object[]>().default([]),
    keptSessionIds: p.array(),
    status: p.enum([...terminationStatuses]).default('running'),
    requestedAt: instant(),
    requestedBy: p.json<RecordedActor>(),
    reason: p.text().nullable(),
    sessionsTotal: counter(),
    sessionsPending: counter(),
    chainsTotal: counter(),
    chainsConfirmed: counter(),
    chainsAlreadyDead: counter(),
    chainsPending: counter(),
    sweepFinds: counter(),
    resurfaced: counter(),
    attempts: counter(),
    lastErrorClass: p.enum([...errorClasses]).nullable(),
    lastOutcomeAt: instant().nullable(),
    progressAt: instant(),
    completedAt: instant().nullable(),
    verifiedAt: instant().nullable(),
    revision: p.integer().default(1),
    deliveredRevision: counter(),
    nextLookAt: instant(),
    dispatchAfter: instant(),
    dispatchCount: counter(),
  },
});
