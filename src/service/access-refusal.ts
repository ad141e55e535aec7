import { ServiceError } from '../errors.ts';
import type { AccessRefusal } from '../rules/access.ts';

const messages: Record<AccessRefusal, string> = {
  unauthenticated: 'The token names no session of its own.',
  'session-ended': 'Your own session has been ended.',
  'role-required': 'Your role does not permit this.',
  'organization-forbidden': 'You may not act in this organization.',
  'support-access-required':
    'This organization has not allowed support access for you, no longer does, or never does for this.',
};

/** The public error for a caller who may not do this. */
export const accessRefusal = (code: AccessRefusal): ServiceError => new ServiceError(code, messages[code]);
