import type { Config } from '../config.ts';
import type { Database } from '../database.ts';
import type { Deliver } from '../dispatcher/deliver.ts';
import type { ArmGrant } from '../dispatcher/arm-grant.ts';
import type { AuditSigner } from '../signing/audit-signer.ts';
import type { ChangeFeed } from './change-feed.ts';
import { createGetAuditHead } from './get-audit-head.ts';
import { createGetActiveSessions } from './get-active-sessions.ts';
import { createGetTermination, createListTerminations, createWatchTermination } from './get-termination.ts';
import type { SessionManagementService } from './index.ts';
import { createGetTerminationReceipt } from './get-termination-receipt.ts';
import { createExportAuditEvents, createListAuditEvents } from './list-audit-events.ts';
import { createRecordSessionEvents, type RecordSessionEventsOptions } from './session-events/index.ts';
import { createGrantFunctions } from './support-access/index.ts';
import { createTerminateOrganizationSessions, createTerminateAllSessions } from './terminate-all-sessions.ts';
import { createTerminateSession } from './terminate-session.ts';

export interface ServiceOptions extends Pick<RecordSessionEventsOptions, 'onClockDifference'> {
  database: Database;
  changes: ChangeFeed;
  deliver: Deliver;
  arm: ArmGrant;
  /** Undefined: nothing is signed. */
  signer: AuditSigner | undefined;
  /** Aborts when the process begins to drain: whoever waits is answered. */
  draining: AbortSignal;
  config: Pick<Config, 'accessTokenTtlSeconds' | 'grants' | 'vendorOrganizations'>;
}

/** The service as one object; the list of its functions, each from its own file. */
export function createService({
  database,
  changes,
  deliver,
  arm,
  signer,
  config,
  draining,
  onClockDifference,
}: ServiceOptions): SessionManagementService {
  const { accessTokenTtlSeconds } = config;
  const reading = { database, accessTokenTtlSeconds };
  const answering = { ...reading, changes, deliver, draining };
  return {
    getActiveSessions: createGetActiveSessions({ database }),
    terminateSession: createTerminateSession(answering),
    terminateAllSessions: createTerminateAllSessions(answering),
    terminateOrganizationSessions: createTerminateOrganizationSessions(answering),
    getTermination: createGetTermination(reading),
    listTerminations: createListTerminations(reading),
    getTerminationReceipt: createGetTerminationReceipt({ ...reading, signer }),
    watchTermination: createWatchTermination({ ...reading, changes }),
    listAuditEvents: createListAuditEvents({ database }),
    exportAuditEvents: createExportAuditEvents({ database }),
    getAuditHead: createGetAuditHead({ database, signer }),
    recordSessionEvents: createRecordSessionEvents({
      database,
      vendorOrganizations: config.vendorOrganizations,
      onClockDifference,
    }),
    ...createGrantFunctions({ database, arm, config }),
  };
}
