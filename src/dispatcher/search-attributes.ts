import { isGrpcServiceError, ServiceError as TemporalServiceError } from '@temporalio/client';
import { defineSearchAttributeKey, SearchAttributeType } from '@temporalio/common';
import { searchAttributeNames } from '../workflows/messages.ts';

/** What operators filter by in the Temporal UI. */
export const organizationKey = defineSearchAttributeKey(
  searchAttributeNames.organizationId,
  SearchAttributeType.KEYWORD,
);
export const scopeKey = defineSearchAttributeKey(searchAttributeNames.scope, SearchAttributeType.KEYWORD);

const INVALID_ARGUMENT = 3; // gRPC status code

/** Whether a start was refused because the namespace does not know our search attributes (yet): it is worth another try without. */
export const isUnknownAttribute = (error: unknown): boolean => {
  const cause = error instanceof TemporalServiceError ? error.cause : error;
  if (!isGrpcServiceError(cause)) return false;
  const code: number = cause.code;
  return code === INVALID_ARGUMENT && /search attribute/i.test(cause.details);
};
