import { z } from '@hono/zod-openapi';
import { auditActions } from '../rules/audit.ts';
import { sessionEndReasons, sessionStatuses } from '../rules/session.ts';
import { checkReasons, grantEndReasons, grantStatuses } from '../rules/support-access-grant.ts';
import { errorClasses, terminationScopeKinds, terminationStatuses } from '../rules/termination.ts';

/** The resources as the interface shows them: what handlers answer is checked against them when compiling. */
const instant = z.string().openapi({ format: 'date-time', example: '2026-11-24T09:30:00.000Z' });
const count = z.int().min(0);
const opaqueId = z.string().openapi({ example: 'user-7f3a' });
const uuid = z.string().openapi({ format: 'uuid', example: '019ab3f2-6a3e-7c51-9d0e-5f2b8c1d4e7a' });

export const actorSchema = z
  .object({
    kind: z.enum(['org-admin', 'global-admin', 'machine', 'operator', 'system']),
    id: opaqueId,
    sessionId: z.string().nullable(),
    supportAccessGrantId: z.string().nullable(),
  })
  .openapi('Actor');

export const sessionSchema = z
  .object({
    id: z.string().openapi({ example: 'session-51c0' }),
    userId: opaqueId,
    organizationId: z.string().openapi({ example: 'acme' }),
    status: z.enum(sessionStatuses),
    startedAt: instant,
    lastSeenAt: instant,
    expiresAt: instant.nullable(),
    endedAt: instant.nullable(),
    endReason: z.enum(sessionEndReasons).nullable(),
    ipAddress: z.string().nullable().openapi({ example: '203.0.113.9' }),
    userAgent: z.string().nullable(),
    client: z.string().nullable().openapi({ example: 'web' }),
    authenticationMethods: z.array(z.string()).openapi({ example: ['pwd', 'otp'] }),
    current: z.boolean().openapi({ description: 'The caller’s own session.' }),
    supportAccessGrantId: uuid.nullable(),
    terminationId: uuid.nullable(),
    refreshTokenChains: z.object({ alive: count, dead: count }),
  })
  .openapi('Session');

export const terminationSchema = z
  .object({
    id: uuid,
    organizationId: z.string().openapi({ example: 'acme' }),
    scope: z
      .object({ kind: z.enum(terminationScopeKinds), id: z.string() })
      .openapi({ example: { kind: 'user', id: 'user-7f3a' } }),
    status: z.enum(terminationStatuses),
    cutoff: instant.openapi({
      description:
        'Everything in scope that was recorded when it was decided, or that started at or before this instant, is ended.',
    }),
    requestedAt: instant,
    requestedBy: actorSchema,
    reason: z.string().nullable(),
    keptSessionIds: z.array(z.string()).openapi({ description: 'Sessions in scope that go on.' }),
    sessions: z.object({ total: count, pending: count }),
    chains: z.object({ total: count, confirmed: count, alreadyDead: count, pending: count }),
    attempts: count.openapi({ description: 'Calls made to the Auth Module.' }),
    lastErrorClass: z.enum(errorClasses).nullable(),
    stalled: z.boolean(),
    completedAt: instant.nullable(),
    verifiedAt: instant.nullable(),
    accessEndsBy: instant
      .nullable()
      .openapi({ description: 'When the last access token can die at the latest; null while anything is pending.' }),
  })
  .openapi('Termination');

export const receiptSchema = terminationSchema
  .pick({
    organizationId: true,
    scope: true,
    cutoff: true,
    requestedAt: true,
    requestedBy: true,
    sessions: true,
    chains: true,
  })
  .extend({
    terminationId: uuid,
    completedAt: instant,
    verifiedAt: instant,
    audit: z.object({ sequence: z.int().min(1), hash: z.string() }).openapi({
      description: 'The place of its `termination.completed` in the organization’s audit chain.',
    }),
    jws: z.string().openapi({ description: 'Compact; its payload is the other fields.' }),
  })
  .openapi('TerminationReceipt');

export const grantSchema = z
  .object({
    id: uuid,
    organizationId: z.string().openapi({ example: 'acme' }),
    userId: z.string().nullable().openapi({ description: 'The Global Admin it is for; null: any.' }),
    status: z.enum(grantStatuses),
    endReason: z.enum(grantEndReasons).nullable(),
    reason: z.string().nullable(),
    createdBy: actorSchema,
    createdAt: instant,
    startsAt: instant,
    expiresAt: instant,
    revision: z.int().min(1),
    accessEndedAt: instant.nullable(),
    sessionsClearedAt: instant.nullable(),
    // not `nullable()`: that would be documented as a schema that null does not meet
    endedBy: z.union([actorSchema, z.null()]),
    stalled: z.boolean(),
    sessions: z.object({ total: count, cleared: count }),
  })
  .openapi('SupportAccessGrant');

export const flagSchema = z
  .object({
    allowed: z.boolean().openapi({ description: 'While any grant is live.' }),
    allowUntil: instant.nullable(),
    timeZone: z.string().nullable().openapi({ example: 'Europe/Zurich' }),
    grantId: uuid.nullable(),
    liveGrants: count,
  })
  .openapi('SupportAccess');

export const decisionSchema = z
  .object({
    decision: z.enum(['allow', 'deny']),
    reason: z.enum(checkReasons),
    grantId: uuid.nullable(),
    notAfter: instant.nullable(),
    maxAgeSeconds: z.int().min(0).max(5),
  })
  .openapi('SupportAccessDecision');

export const auditEventSchema = z
  .object({
    id: uuid,
    at: instant,
    action: z.enum(auditActions),
    actor: actorSchema,
    subject: z.object({ kind: z.enum(['session', 'user', 'organization', 'grant', 'termination']), id: z.string() }),
    reason: z.string().nullable(),
    details: z.record(z.string(), z.unknown()),
    hash: z
      .string()
      .nullable()
      .openapi({ description: 'Null until sealed into the organization’s chain, about a second later.' }),
    previousHash: z.string().nullable(),
  })
  .openapi('AuditEvent');

export const auditHeadSchema = z
  .object({
    organizationId: z.string().openapi({ example: 'acme' }),
    sequence: z.int().min(1),
    hash: z.string(),
    at: instant,
    jws: z.string().openapi({ description: 'Compact; its payload is the other fields.' }),
  })
  .openapi('AuditHead');

export const eventResultSchema = z
  .object({
    eventId: z.string().nullable(),
    outcome: z.enum(['accepted', 'duplicate', 'stale', 'rejected']),
    reason: z.string().optional(),
  })
  .openapi('SessionEventResult');

/** A page of a list; `nextCursor` is null at the end, and only there. (AIP-158) */
export const pageOf = <T extends z.ZodType>(item: T) =>
  z.object({ items: z.array(item), nextCursor: z.string().nullable() });
