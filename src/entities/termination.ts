import { defineEntity, p } from '@mikro-orm/core';
import { type Actor, errorClasses, terminationScopeKinds, terminationStatuses } from '../rules/termination.ts';

const instant = () => p.datetime(3);
const counter = () => p.integer().default(0);

/**
 * The durable operation that ends sessions, and the fence: everything in its scope from at or before `cutoff` is ended,
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
    keptSessionIds: p.array(),
    status: p.enum([...terminationStatuses]).default('running'),
    requestedAt: instant(),
    requestedBy: p.json<Actor>(),
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
