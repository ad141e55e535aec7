import type { Logger } from 'pino';
import { publicDatabaseError } from '../database.ts';
import { hintOf } from '../database/hints.ts';
import { failureClassOf } from '../database/sqlstates.ts';
import { type ErrorCode, ServiceError, statusOf } from '../errors.ts';
import { codeOf, framesOf } from '../error-code.ts';
import type { ApiContext } from './api-env.ts';

/** Fields that one answer names: what a client sends must not decide how much it is sent back. */
const MAX_FIELD_ERRORS = 20;

type ErrorStatus = (typeof statusOf)[ErrorCode];

/** Headers an answer of this status always has, unless the error brings its own. */
const headersOf: Partial<Record<ErrorStatus, Record<string, string>>> = {
  401: { 'WWW-Authenticate': 'Bearer' }, // RFC 6750 §3
  429: { 'Retry-After': '1' },
  503: { 'Retry-After': '1' },
};

/** An RFC 9457 problem document. Its members' order is fixed: equal problems are equal byte for byte, but for the request id. */
export const problemDocument = (
  code: ErrorCode,
  status: number,
  detail: string,
  requestId: string,
  error?: ServiceError,
) => ({
  type: `urn:session-management:error:${code}`,
  title: titleOf(code),
  status,
  detail,
  code,
  requestId,
  ...(error?.details.errors && { errors: error.details.errors.slice(0, MAX_FIELD_ERRORS) }),
  ...error?.details.extensions,
});

const titleOf = (code: ErrorCode): string => code.charAt(0).toUpperCase() + code.slice(1).replaceAll('-', ' ');

/**
 * The one mapping from failures to answers. A `ServiceError`'s message is public; anything else is answered
 * `internal-error` without a word of it, and logged.
 */
export function createErrorResponse(logger: Logger) {
  return function errorResponse(thrown: unknown, c: ApiContext): Response {
    const requestId = c.get('requestId');
    const error = publicDatabaseError(thrown);
    if (error instanceof ServiceError) {
      if (error.code === 'database-unavailable')
        logger.warn(
          { requestId, code: error.code, failure: failureClassOf(thrown), error: codeOf(thrown), hint: hintOf(thrown) },
          'the database cannot serve a request',
        );
      return problemResponse(c, error);
    }
    logger.error(
      { requestId, route: c.get('routePath'), error: describeUnknown(error) },
      'a request failed unexpectedly',
    );
    return problemResponse(c, new ServiceError('internal-error', 'The request could not be completed.'));
  };
}

function problemResponse(c: ApiContext, error: ServiceError): Response {
  const status: ErrorStatus = statusOf[error.code];
  c.set('errorCode', error.code);
  const body = JSON.stringify(problemDocument(error.code, status, error.message, c.get('requestId'), error));
  return c.body(body, status, {
    ...headersOf[status],
    ...error.details.headers,
    'Content-Type': 'application/problem+json',
  });
}

/**
 * What the log may know of an unknown error: where it came from. Its message only where no database wrote it, because
 * theirs quote values: reasons, addresses, user agents.
 */
export function describeUnknown(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { name: typeof error };
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  return {
    name: error.name,
    code,
    message: code === undefined ? error.message : undefined,
    stack: framesOf(error).join('\n'),
  };
}
