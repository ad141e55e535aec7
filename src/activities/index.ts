/** The list of activities: everything that touches the world on behalf of a workflow. */
import { createActivateGrant } from './support-access/activate-grant.ts';
import { createClearGrantSessions } from './support-access/clear-grant-sessions.ts';
import { createSettleGrant } from './support-access/settle-grant.ts';
import { createEndSessions } from './termination/end-sessions.ts';
import type { TerminationActivityOptions } from './termination/pass-result.ts';
import { createVerifyTermination } from './termination/verify-termination.ts';

export const createActivities = (options: TerminationActivityOptions) => ({
  endSessions: createEndSessions(options),
  verifyTermination: createVerifyTermination(options),
  activateGrant: createActivateGrant(options),
  settleGrant: createSettleGrant(options),
  clearGrantSessions: createClearGrantSessions(options),
});

export type Activities = ReturnType<typeof createActivities>;
