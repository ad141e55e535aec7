import { z } from '@hono/zod-openapi';
import { auditActions } from '../rules/audit.ts';
import { isOpaqueId } from '../rules/identifier.ts';
import { isReason } from '../rules/text.ts';
import { readInstant } from '../rules/until-date.ts';

/** What a client may send. Every object is strict: an unknown field is refused, and nothing is clamped. */
const idMessage = 'must be 1 to 255 printable characters';
const opaqueId = z.string().refine(isOpaqueId, idMessage).openapi({ minLength: 1, maxLength: 255 });

// counted in code points, as JSON Schema counts
const reason = z.string().refine(isReason, 'must be at most 500 characters').optional().openapi({
  maxLength: 500,
  example: 'Laptop lost',
  description: 'Free text, shown in the audit; never sent to the workflow engine or the log.',
});

/** An RFC 3339 instant with its offset, which is made UTC with milliseconds. */
const instant = z
  .string()
  .transform((text, context) => {
    const read = readInstant(text);
    if (read === null) context.addIssue('must be an instant: a date and time with its offset from UTC');
    return read ?? text;
  })
  .openapi({ type: 'string', format: 'date-time', example: '2026-11-30T17:00:00.000Z' });

const limit = z
  .string()
  .regex(/^(?:[1-9]\d?|1\d\d|200)$/, 'must be a whole number from 1 to 200')
  .transform(Number)
  .optional()
  .openapi({ type: 'integer', minimum: 1, maximum: 200, default: 50 });
const cursor = z
  .string()
  .optional()
  .openapi({ minLength: 1, description: '`nextCursor` of the page before, with the same filters.' });

export const pageQuery = z.strictObject({ limit, cursor });
export const sessionsQuery = pageQuery.extend({
  status: z
    .enum(['active', 'ended', 'all'])
    .default('active')
    .openapi({ description: '`ended` includes the expired.' }),
});
export const auditQuery = pageQuery.extend({
  action: z.enum(auditActions).optional(),
  actorId: opaqueId.optional(),
  subjectId: opaqueId.optional(),
  from: instant.optional().openapi({ description: 'Inclusive.' }),
  to: instant.optional().openapi({ description: 'Exclusive.' }),
});
export const noQuery = z.strictObject({});

/** The list is kept with the termination, and read by whoever asks for it. */
const MAX_KEPT_BYTES = 8 * 1024;
const isShortInAll = (ids: readonly string[]): boolean => Buffer.byteLength(ids.join('')) <= MAX_KEPT_BYTES;

export const reasonBody = z.strictObject({ reason });
export const terminateManyBody = z.strictObject({
  reason,
  exceptSessionIds: z
    .array(opaqueId)
    .max(100, 'must be at most 100 sessions')
    .refine(isShortInAll, `must be at most ${MAX_KEPT_BYTES} bytes in all`)
    .optional()
    .openapi({ example: [], description: 'Sessions to keep; at most 8 KiB in all.' }),
  includeOwn: z.boolean().optional().openapi({ description: 'End the caller’s own session too.' }),
});
export const createGrantBody = z.strictObject({
  userId: opaqueId.nullable().openapi({ description: 'The Global Admin it is for; null: any.' }),
  expiresAt: instant,
  reason,
});
export const changeGrantBody = z.strictObject({ expiresAt: instant });

/** What a date and its zone mean is the service's to say, and to refuse. */
export const flagBody = z.strictObject({
  allowUntil: z.string().max(64).openapi({
    example: '2026-11-30',
    description: 'An instant; or a date with its `timeZone`, meaning the first instant of the next day there.',
  }),
  timeZone: z
    .string()
    .max(64)
    .nullish()
    .openapi({ example: 'Europe/Zurich', description: 'An IANA zone; required with a date.' }),
});

/** Judged one by one by the service; documented by the schema it judges with. */
const anyEvent = z.unknown().openapi({
  anyOf: [
    { $ref: '#/components/schemas/SessionEvent' },
    { description: 'Anything else is answered `rejected`, `invalid`.' },
  ],
});
export const sessionEventsBody = z.strictObject({
  events: z
    .array(anyEvent)
    .min(1, 'must have at least 1 event')
    .max(1_000, 'must have at most 1000 events')
    .openapi({ description: 'Each event is judged for itself: a malformed one rejects itself, never its batch.' }),
  sentAt: instant.optional().openapi({ description: 'The Auth Module’s clock when it sent this.' }),
});

export const checkBody = z.strictObject({
  organizationId: opaqueId,
  userId: opaqueId,
  role: z.string().max(255).openapi({
    example: 'global_admin',
    description: 'As read from the verified token; anything but `global_admin` is denied.',
  }),
  sessionId: opaqueId.optional(),
});
