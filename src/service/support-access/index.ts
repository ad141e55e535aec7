/** The functions about support access; one decision per file, this is the list. */
import type { Config } from '../../config.ts';
import type { Database } from '../../database.ts';
import type { ArmGrant } from '../../dispatcher/arm-grant.ts';
import type { SessionManagementService } from '../index.ts';
import { createChangeSupportAccessGrant } from './change-support-access-grant.ts';
import { createCheckSupportAccess } from './check-support-access.ts';
import { createCreateSupportAccessGrant } from './create-support-access-grant.ts';
import { createGetSupportAccessGrant, createListSupportAccessGrants } from './get-support-access-grant.ts';
import { createRevokeSupportAccessGrant } from './revoke-support-access-grant.ts';
import { createAllowSupportAccess, createEndSupportAccess, createGetSupportAccess } from './support-access-flag.ts';

export interface GrantFunctionsOptions {
  database: Database;
  arm: ArmGrant;
  config: Pick<Config, 'grants'>;
}

export const createGrantFunctions = ({ database, arm, config: { grants: limits } }: GrantFunctionsOptions) =>
  ({
    createSupportAccessGrant: createCreateSupportAccessGrant({ database, arm, limits }),
    getSupportAccessGrant: createGetSupportAccessGrant({ database }),
    listSupportAccessGrants: createListSupportAccessGrants({ database }),
    changeSupportAccessGrant: createChangeSupportAccessGrant({ database, limits }),
    revokeSupportAccessGrant: createRevokeSupportAccessGrant({ database }),
    getSupportAccess: createGetSupportAccess({ database }),
    allowSupportAccess: createAllowSupportAccess({ database, arm, limits }),
    endSupportAccess: createEndSupportAccess({ database }),
    checkSupportAccess: createCheckSupportAccess({ database }),
  }) satisfies Partial<SessionManagementService>;
