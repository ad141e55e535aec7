/** The list of activities: everything that touches the world on behalf of a workflow. */
import { createEndSessions, type TerminationActivityOptions } from './termination/end-sessions.ts';
import { createVerifyTermination } from './termination/verify-termination.ts';

export const createActivities = (options: TerminationActivityOptions) => ({
  endSessions: createEndSessions(options),
  verifyTermination: createVerifyTermination(options),
});

export type Activities = ReturnType<typeof createActivities>;
