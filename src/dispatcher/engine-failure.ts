import { isGrpcServiceError, ServiceError as TemporalServiceError } from '@temporalio/client';
import { NamespaceNotFoundError } from '@temporalio/common';
import { codeOf } from '../error-code.ts';

/** gRPC's status codes in their order, as failures are logged and counted. */
const statuses = [
  'ok',
  'cancelled',
  'unknown',
  'invalid-argument',
  'deadline-exceeded',
  'not-found',
  'already-exists',
  'permission-denied',
  'resource-exhausted',
  'failed-precondition',
  'aborted',
  'out-of-range',
  'unimplemented',
  'internal',
  'unavailable',
  'data-loss',
  'unauthenticated',
];

/** The gRPC status of a failed call of the Temporal client; undefined where it failed in another way. */
export function grpcStatusOf(error: unknown): string | undefined {
  const cause = error instanceof TemporalServiceError ? error.cause : error;
  return isGrpcServiceError(cause) ? statuses[cause.code] : undefined;
}

/** Whether a start was refused because the namespace does not know our search attributes: it is worth another try without. */
export function isUnknownAttribute(error: unknown): boolean {
  const cause = error instanceof TemporalServiceError ? error.cause : error;
  if (grpcStatusOf(error) !== 'invalid-argument' || !(cause instanceof Error)) return false;
  // of two operations in one call the details are of the call, and the message is of the one that failed
  return /search attribute/i.test(`${cause.message} ${isGrpcServiceError(cause) ? cause.details : ''}`);
}

export const isNamespaceMissing = (error: unknown): boolean => error instanceof NamespaceNotFoundError;

/** What the log and the metrics say of a failed call: never a message, which may quote values. */
export function engineFailureClass(error: unknown): string {
  if (isNamespaceMissing(error)) return 'namespace-missing';
  if (isUnknownAttribute(error)) return 'attributes-missing';
  return grpcStatusOf(error) ?? codeOf(error);
}
