import { ApplicationFailure, CompleteAsyncError, TemporalFailure } from '@temporalio/common';
import type { ActivityInterceptorsFactory } from '@temporalio/worker';
import { codeOf, framesOf } from '../error-code.ts';

/**
 * What an activity fails with is kept in the workflow's history and shown in the Temporal UI, and a message may quote
 * what it is about: a row, or what the Auth Module answered. The failure says the error's code, and where it came from.
 */
export const failByCode: ActivityInterceptorsFactory = () => ({
  inbound: {
    async execute(input, next) {
      try {
        return await next(input);
      } catch (error) {
        if (isOfTemporal(error)) throw error;
        throw withoutMessage(error);
      }
    },
  },
});

function withoutMessage(error: unknown): ApplicationFailure {
  const code = codeOf(error);
  const failure = ApplicationFailure.create({ message: code, type: code });
  failure.stack = [code, ...framesOf(error)].join('\n');
  return failure;
}

const isOfTemporal = (error: unknown): boolean =>
  error instanceof TemporalFailure ||
  error instanceof CompleteAsyncError ||
  // how a cancelled activity ends
  (error instanceof Error && error.name === 'AbortError');
