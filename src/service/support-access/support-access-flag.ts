/** The Organization Settings flag "Allow support access until {date}": the grant for any Global Admin, as one switch. */
import { sql } from 'kysely';
import { type Database, type Queryable, row } from '../../database.ts';
import { invalidField, ServiceError } from '../../errors.ts';
import { actorOf, type AdminContext } from '../../rules/access.ts';
import { endOfDay, isDateForm, isTimeZone } from '../../rules/until-date.ts';
import { authorizeDecision } from '../authorize-decision.ts';
import type { SessionManagementService } from '../index.ts';
import { wakeDispatcher } from '../insert-termination.ts';
import { grantIsLive, requireLiveGrant } from '../live-grant.ts';
import { changeGrant } from './change-support-access-grant.ts';
import { createGrant, type GrantGiving } from './create-support-access-grant.ts';
import { revokeGrants, voidGrants } from './decide-grants.ts';
import { readExpiry } from './read-expiry.ts';
import { readFlag } from './read-flag.ts';

/** Whether support access is allowed now, and until when. */
export const createGetSupportAccess =
  ({ database }: { database: Database }): SessionManagementService['getSupportAccess'] =>
  async (context) => {
    await requireLiveGrant(database.pool, context);
    return readFlag(database.pool, context.organizationId);
  };

/** Others who set the flag in the same moment, at most. */
const MEETINGS = 5;

/** Allows support access until an instant, or through a day in its zone: changes the live grant for any Global Admin, or creates it. */
export const createAllowSupportAccess =
  (giving: GrantGiving): SessionManagementService['allowSupportAccess'] =>
  async (until, context) => {
    const end = { expiresAt: readUntil(until), timeZone: until.timeZone ?? null };
    for (let meeting = 1; ; meeting++) {
      try {
        await createOrChange(giving, end, context);
        return await readFlag(giving.database.pool, context.organizationId);
      } catch (error) {
        if (meeting === MEETINGS || !metAnother(error)) throw error;
      }
    }
  };

async function createOrChange(
  giving: GrantGiving,
  end: { expiresAt: string; timeZone: string | null },
  context: AdminContext,
): Promise<void> {
  const grantId = await liveForAny(giving.database.pool, context.organizationId);
  if (grantId === undefined) await createGrant(giving, { ...end, userId: null, reason: null }, context);
  else
    await giving.database.transaction((transaction) =>
      changeGrant(transaction, { ...end, grantId }, context, giving.limits),
    );
}

const liveForAny = async (db: Queryable, organizationId: string): Promise<string | undefined> =>
  (
    await row<{ id: string }>(
      db,
      sql`select id from support_access_grants where organization_id = ${organizationId} and coalesce(user_id, '') = '' and ${grantIsLive}`,
    )
  )?.id;

/** Somebody else created the grant first, or it ended between the look and the change. */
const metAnother = (error: unknown): boolean =>
  error instanceof ServiceError && (error.code === 'grant-exists' || error.code === 'grant-ended');

/** Ends every live grant of the organization, and makes sure that those being created never come alive. */
export const createEndSupportAccess =
  ({ database }: { database: Database }): SessionManagementService['endSupportAccess'] =>
  async (context) => {
    const { organizationId } = context;
    await database.transaction(async (transaction) => {
      await authorizeDecision(transaction, context, { grants: true });
      await voidGrants(transaction, sql`organization_id = ${organizationId}`);
      const live = sql`organization_id = ${organizationId} and ${grantIsLive}`;
      const revoked = await revokeGrants(transaction, live, {
        actor: actorOf(context),
        reason: null,
        delivered: false,
      });
      if (revoked.length > 0) wakeDispatcher(transaction);
    });
    return readFlag(database.pool, organizationId);
  };

function readUntil({ allowUntil, timeZone = null }: { allowUntil: string; timeZone?: string | null }): string {
  if (timeZone !== null && !isTimeZone(timeZone)) throw invalidField('/timeZone', 'must be an IANA time zone');
  if (!isDateForm(allowUntil)) return readExpiry(allowUntil, '/allowUntil');
  if (timeZone === null) throw invalidField('/timeZone', 'is required with a date');
  const end = endOfDay(allowUntil, timeZone);
  if (end === null) throw invalidField('/allowUntil', 'must be a day of the calendar');
  return end;
}
