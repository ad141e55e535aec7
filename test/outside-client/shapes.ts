/** What the interface answers, field by field: a field too many, too few or of another kind is a failure. */
import { z } from 'zod';

/** RFC 3339, UTC, milliseconds. */
const instant = z.string().regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
/** Made by the service. */
const ownId = z.uuidv7();
/** Made by the Auth Module. */
const opaqueId = z.string().min(1).max(255);
const count = z.int().nonnegative();
const words = z.string().nullable();

export const Actor = z.strictObject({
  kind: z.enum(['org-admin', 'global-admin', 'machine', 'operator', 'system']),
  id: z.string().min(1),
  sessionId: opaqueId.nullable(),
  supportAccessGrantId: ownId.nullable(),
});

export const Session = z.strictObject({
  id: opaqueId,
  userId: opaqueId,
  organizationId: opaqueId,
  status: z.enum(['active', 'ended', 'expired']),
  startedAt: instant,
  lastSeenAt: instant,
  expiresAt: instant.nullable(),
  endedAt: instant.nullable(),
  endReason: z.enum(['terminated', 'signed-out', 'expired', 'support-access-ended', 'rejected']).nullable(),
  ipAddress: words,
  userAgent: words,
  client: words,
  authenticationMethods: z.array(z.string()),
  current: z.boolean(),
  supportAccessGrantId: ownId.nullable(),
  terminationId: ownId.nullable(),
  refreshTokenChains: z.strictObject({ alive: count, dead: count }),
});

export const errorClasses = [
  'unreachable',
  'timeout',
  'throttled',
  'server-error',
  'unauthorized',
  'rejected',
  'bad-response',
] as const;

export const Termination = z
  .strictObject({
    id: ownId,
    organizationId: opaqueId,
    scope: z.strictObject({ kind: z.enum(['session', 'user', 'organization', 'grant']), id: opaqueId }),
    status: z.enum(['running', 'completed']),
    cutoff: instant,
    requestedAt: instant,
    requestedBy: Actor,
    reason: words,
    keptSessionIds: z.array(opaqueId),
    sessions: z.strictObject({ total: count, pending: count }),
    chains: z.strictObject({ total: count, confirmed: count, alreadyDead: count, pending: count }),
    attempts: count,
    lastErrorClass: z.enum(errorClasses).nullable(),
    stalled: z.boolean(),
    completedAt: instant.nullable(),
    verifiedAt: instant.nullable(),
    accessEndsBy: instant.nullable(),
  })
  .refine(({ chains }) => chains.total === chains.confirmed + chains.alreadyDead + chains.pending, {
    message: 'the counters of the chains do not partition',
  })
  .refine(({ sessions }) => sessions.pending <= sessions.total, { message: 'more sessions pending than there are' })
  .refine(({ status, completedAt }) => (status === 'completed') === (completedAt !== null), {
    message: 'completed and completedAt disagree',
  });

const jws = z.string().regex(/^[\w-]+\.[\w-]+\.[\w-]+$/);
const sequence = z.int().positive();
const hash = z.string().min(1);

export const Receipt = z.strictObject({
  terminationId: ownId,
  organizationId: opaqueId,
  scope: Termination.shape.scope,
  cutoff: instant,
  requestedAt: instant,
  requestedBy: Actor,
  completedAt: instant,
  verifiedAt: instant,
  sessions: Termination.shape.sessions,
  chains: Termination.shape.chains,
  audit: z.strictObject({ sequence, hash }),
  jws,
});

export const AuditHead = z.strictObject({ organizationId: opaqueId, sequence, hash, at: instant, jws });

export const Grant = z.strictObject({
  id: ownId,
  organizationId: opaqueId,
  userId: opaqueId.nullable(),
  status: z.enum(['active', 'ending', 'ended']),
  endReason: z.enum(['revoked', 'expired']).nullable(),
  reason: words,
  createdBy: Actor,
  createdAt: instant,
  startsAt: instant,
  expiresAt: instant,
  revision: z.int().positive(),
  accessEndedAt: instant.nullable(),
  sessionsClearedAt: instant.nullable(),
  endedBy: Actor.nullable(),
  stalled: z.boolean(),
  sessions: z.strictObject({ total: count, cleared: count }),
});

export const Flag = z.strictObject({
  allowed: z.boolean(),
  allowUntil: instant.nullable(),
  timeZone: z.string().nullable(),
  grantId: ownId.nullable(),
  liveGrants: count,
});

export const Check = z.strictObject({
  decision: z.enum(['allow', 'deny']),
  reason: z.enum(['granted', 'not-eligible', 'no-grant', 'expired', 'revoked', 'session-ended']),
  grantId: ownId.nullable(),
  notAfter: instant.nullable(),
  maxAgeSeconds: z.int().min(0).max(5),
});

export const AuditEvent = z.strictObject({
  id: ownId,
  at: instant,
  action: z.string().regex(/^[a-z-]+\.[a-z-]+$/),
  actor: Actor,
  subject: z.strictObject({ kind: z.string().min(1), id: z.string().min(1) }),
  reason: words,
  details: z.record(z.string(), z.unknown()),
  hash: z.string().min(1).nullable(),
  previousHash: z.string().min(1).nullable(),
});

export const EventResults = z.strictObject({
  results: z.array(
    z.strictObject({
      eventId: z.string(),
      outcome: z.enum(['accepted', 'duplicate', 'stale', 'rejected']),
      reason: z
        .string()
        .regex(/^[a-z-]+$/)
        .optional(),
    }),
  ),
});

/** RFC 9457, with what a few codes add. */
export const Problem = z.strictObject({
  type: z.string().min(1),
  title: z.string().min(1),
  status: z.int(),
  detail: z.string().min(1),
  code: z.string().regex(/^[a-z-]+$/),
  requestId: z.string().min(1),
});
export const ValidationProblem = Problem.extend({
  errors: z.array(z.strictObject({ pointer: z.string(), message: z.string().min(1) })).min(1),
});
export const GrantExistsProblem = Problem.extend({ grantId: ownId });
/** How the bounds are called is left to the document. */
export const BoundsProblem = z.looseObject(Problem.shape);

export const page = <Item extends z.ZodType>(item: Item) =>
  z.strictObject({ items: z.array(item), nextCursor: z.string().min(1).nullable() });

export type Session = z.infer<typeof Session>;
export type Termination = z.infer<typeof Termination>;
export type Grant = z.infer<typeof Grant>;
export type Flag = z.infer<typeof Flag>;
export type Check = z.infer<typeof Check>;
export type AuditEvent = z.infer<typeof AuditEvent>;
export type EventResults = z.infer<typeof EventResults>;
