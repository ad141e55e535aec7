import { invalidField, ServiceError } from '../../errors.ts';
import type { ExpiryBounds } from '../../rules/support-access-grant.ts';
import { readInstant } from '../../rules/until-date.ts';

/** An end as UTC with milliseconds. Throws for one without an offset, or of a day that the calendar does not have. */
export function readExpiry(text: string, pointer: string): string {
  const instant = readInstant(text);
  if (instant === null) throw invalidField(pointer, 'must be an instant: a date and time with its offset from UTC');
  return instant;
}

/** Names the bounds; nothing is ever clamped. */
export const refuseExpiry = (bounds: ExpiryBounds): ServiceError =>
  new ServiceError('expiry-out-of-bounds', `The end must lie between ${bounds.min} and ${bounds.max}.`, {
    extensions: { bounds },
  });
