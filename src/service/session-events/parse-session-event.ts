import { z } from 'zod';
import { describedBy, describedMethods, LONGEST_USER_AGENT } from '../../rules/descriptive.ts';
import { EARLIEST, LATEST } from '../../rules/credible-instant.ts';
import { isOpaqueId } from '../../rules/identifier.ts';
import { type SessionEvent, sessionEventTypes } from '../../rules/session-event.ts';

const id = z.string().refine(isOpaqueId, 'must be 1 to 255 printable characters');
const instant = z.iso.datetime({ offset: true });
/** Never a reason to reject: what cannot be kept as it is told is cleaned, and what is no text is absent. */
const description = (max?: number) =>
  z
    .unknown()
    .transform((told) => describedBy(told, max))
    .optional();

export const sessionEventSchema = z.strictObject({
  eventId: id,
  type: z.enum(sessionEventTypes),
  occurredAt: instant,
  organizationId: id,
  userId: id,
  sessionId: id,
  startedAt: instant,
  chainId: id.nullish(),
  expiresAt: instant.nullish(),
  userName: description(),
  ipAddress: description(),
  userAgent: description(LONGEST_USER_AGENT),
  client: description(),
  authenticationMethods: z.unknown().transform(describedMethods).optional(),
  supportAccessGrantId: z.uuid().nullish(),
  parentSession: z.strictObject({ organizationId: id, sessionId: id }).nullish(),
});

/**
 * An event as the rules take it, its stamps moved back by `aheadMs`, by how much the sender's clock is ahead for
 * certain; null where it is malformed. A support start, and no other event, names the staff member's own session.
 */
export function parseSessionEvent(raw: unknown, aheadMs: number): SessionEvent | null {
  const parsed = sessionEventSchema.safeParse(raw);
  if (!parsed.success) return null;
  const e = parsed.data;
  const stamp = (at: string) => Date.parse(at) - aheadMs;
  const event: SessionEvent = {
    ...e,
    occurredAt: stamp(e.occurredAt),
    startedAt: stamp(e.startedAt),
    expiresAt: e.expiresAt == null ? null : stamp(e.expiresAt),
    chainId: e.chainId ?? null,
    ipAddress: e.ipAddress ?? null,
    userAgent: e.userAgent ?? null,
    client: e.client ?? null,
    authenticationMethods: e.authenticationMethods ?? null,
    supportAccessGrantId: e.supportAccessGrantId?.toLowerCase() ?? null,
    parentSession: e.parentSession ?? null,
  };
  const stamps = [event.occurredAt, event.startedAt, event.expiresAt ?? event.startedAt];
  if (!stamps.every((at) => at > EARLIEST && at < LATEST)) return null;
  const isSupportStart = event.type === 'session.started' && event.supportAccessGrantId !== null;
  if (isSupportStart !== (event.parentSession !== null)) return null;
  return event;
}

/** The event id of something malformed, where it has one, so that its sender can tell which it was. */
export const eventIdOf = (raw: unknown): string | null =>
  typeof raw === 'object' &&
  raw !== null &&
  'eventId' in raw &&
  typeof raw.eventId === 'string' &&
  isOpaqueId(raw.eventId)
    ? raw.eventId
    : null;
