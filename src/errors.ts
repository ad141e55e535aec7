/**
 * Every way this service refuses, each with a stable code. `api/error-response.ts` maps a code to HTTP once.
 * A `ServiceError`'s message is public: it never carries a stack, an SQL text or anything of another organization.
 */
export const statusOf = {
  'malformed-request': 400,
  'invalid-cursor': 400,
  unauthenticated: 401,
  'session-ended': 401,
  'organization-forbidden': 403,
  'support-access-required': 403,
  'role-required': 403,
  'not-found': 404,
  'method-not-allowed': 405,
  'grant-exists': 409,
  'grant-ended': 409,
  'not-verified-yet': 409,
  'idempotency-key-in-use': 409,
  'request-timeout': 408,
  'length-required': 411,
  'revision-mismatch': 412,
  'payload-too-large': 413,
  'unsupported-media-type': 415,
  'validation-failed': 422,
  'expiry-out-of-bounds': 422,
  'idempotency-key-reused': 422,
  'rate-limited': 429,
  'internal-error': 500,
  'workflow-engine-unavailable': 503,
  'database-unavailable': 503,
  // the issuer's keys were never fetched and cannot be: no token can be judged, good or bad
  'signing-keys-unavailable': 503,
} as const;

export type ErrorCode = keyof typeof statusOf;

/** One field that was refused: an RFC 6901 pointer into the body (`/expiresAt`) or `?limit` for a query parameter. */
export interface FieldError {
  pointer: string;
  message: string;
}

export interface ServiceErrorDetails {
  /** Refused fields, for `validation-failed`. */
  errors?: FieldError[];
  /** Members added to the problem document, e.g. `{ grantId }` for `grant-exists` (RFC 9457 §3.2). */
  extensions?: Record<string, unknown>;
  /** Headers of the answer, e.g. `Retry-After`. */
  headers?: Record<string, string>;
  cause?: unknown;
}

export class ServiceError extends Error {
  readonly code: ErrorCode;
  readonly details: ServiceErrorDetails;

  constructor(code: ErrorCode, message: string, details: ServiceErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'ServiceError';
    this.code = code;
    this.details = details;
  }
}

/** The one answer for an id that is foreign, malformed or absent: the three must not be told apart. */
export const notFound = (): ServiceError =>
  new ServiceError('not-found', 'There is no such resource in this organization.');

/** A single refused field. */
export const invalidField = (pointer: string, message: string): ServiceError =>
  new ServiceError('validation-failed', message, { errors: [{ pointer, message }] });
