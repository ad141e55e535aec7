import { sql } from 'kysely';
import { type Database, row, rows, type Transaction } from '../../database.ts';
import type { ArmGrant } from '../../dispatcher/arm-grant.ts';
import { invalidField, ServiceError } from '../../errors.ts';
import { actorOf, type AdminContext } from '../../rules/access.ts';
import { isOpaqueId } from '../../rules/identifier.ts';
import { createBounds, type GrantLimits, isWithin } from '../../rules/support-access-grant.ts';
import { isReason } from '../../rules/text.ts';
import { authorizeDecision } from '../authorize-decision.ts';
import type { OnDecided, SessionManagementService } from '../index.ts';
import { grantIsLive } from '../live-grant.ts';
import { voidGrants } from './decide-grants.ts';
import { showGrant } from './get-support-access-grant.ts';
import { readExpiry, refuseExpiry } from './read-expiry.ts';

export interface GrantGiving {
  database: Database;
  arm: ArmGrant;
  limits: GrantLimits;
}

export interface NewGrant {
  userId: string | null;
  /** RFC 3339 UTC with milliseconds. */
  expiresAt: string;
  timeZone: string | null;
  reason: string | null;
  onDecided?: OnDecided | undefined;
}

/** How long the workflow engine may take to answer. */
const ARM_MS = 3_000;
/** How long a row may be activated: a little longer than anyone waits for it, so that nothing comes alive unnoticed. */
const ACTIVATE_WITHIN_MS = 4_000;

/**
 * Lets a Global Admin (null: any) act in the caller's organization until an instant. The grant is live only once its
 * workflow holds the timer that ends it: where that cannot be had in time nothing is granted, then or later.
 */
export const createCreateSupportAccessGrant =
  (giving: GrantGiving): SessionManagementService['createSupportAccessGrant'] =>
  async (userId, expiresAt, context, { reason = null, onDecided } = {}) => {
    if (userId !== null && !isOpaqueId(userId)) throw invalidField('/userId', 'must be 1 to 255 printable characters');
    if (userId === context.actorId) throw invalidField('/userId', 'must not be who gives it');
    if (reason !== null && !isReason(reason)) throw invalidField('/reason', 'must be at most 500 characters');
    const grant = { userId, expiresAt: readExpiry(expiresAt, '/expiresAt'), timeZone: null, reason, onDecided };
    return showGrant(giving.database.pool, context.organizationId, await createGrant(giving, grant, context));
  };

/** Inserts the row, which is not alive, and has its workflow activate it; returns its id once it is. */
export async function createGrant(
  { database, arm, limits }: GrantGiving,
  grant: NewGrant,
  context: AdminContext,
): Promise<string> {
  const id = await database.transaction((transaction) => insertGrant(transaction, grant, context, limits));
  let [outcome, cause]: ['active' | 'refused' | 'unanswered', unknown] = ['unanswered', undefined];
  try {
    outcome = await arm(id, context.organizationId, ARM_MS);
  } catch (error) {
    cause = error;
  }
  if (outcome === 'active') return id;
  await voidGrants(database.pool, sql`id = ${id}::uuid`);
  const settled = await row<{ alive: boolean }>(
    database.pool,
    sql`select starts_at is not null as alive from support_access_grants where id = ${id}::uuid`,
  );
  if (settled?.alive === true) return id;
  if (outcome === 'unanswered') throw engineUnavailable(cause);
  // refused because its giver was ended meanwhile: they are told that
  await database.transaction((transaction) => authorizeDecision(transaction, context));
  throw await refusal(database, id);
}

async function insertGrant(
  transaction: Transaction,
  grant: NewGrant,
  context: AdminContext,
  limits: GrantLimits,
): Promise<string> {
  const { organizationId } = context;
  await authorizeDecision(transaction, context);
  const present = await row<{ now_ms: number; live_id: string | null }>(
    transaction,
    sql`select (extract(epoch from current_instant()) * 1000)::float8 as now_ms, (
      select id from support_access_grants where organization_id = ${organizationId} and coalesce(user_id, '') = ${grant.userId ?? ''} and ${grantIsLive}
    ) as live_id`,
  );
  if (present === undefined) throw new Error('a select without from returns one row');
  const nowMs = Math.round(present.now_ms);
  const bounds = createBounds(nowMs, limits);
  if (!isWithin(grant.expiresAt, bounds)) throw refuseExpiry(bounds);
  if (present.live_id !== null) throw grantExists(present.live_id);
  await rows(transaction, sql`insert into organizations (id) values (${organizationId}) on conflict do nothing`);
  const [now, before] = [new Date(nowMs), new Date(nowMs + ACTIVATE_WITHIN_MS)].map((at) => at.toISOString());
  const inserted = await row<{ id: string }>(
    transaction,
    sql`insert into support_access_grants (organization_id, user_id, reason, created_by, created_at, activate_before, expires_at, time_zone, progress_at, next_look_at, dispatch_after)
      values (${organizationId}, ${grant.userId}, ${grant.reason}, ${JSON.stringify(actorOf(context))}::jsonb, ${now}, ${before}, ${grant.expiresAt}, ${grant.timeZone},
        ${now}, ${before}, ${before}::timestamptz + interval '1 minute') returning id`,
  );
  if (inserted === undefined) throw new Error('an insert returns its row');
  await grant.onDecided?.(transaction, { kind: 'grant', id: inserted.id });
  return inserted.id;
}

/** Why an activation was refused: another grant for the same was faster, or support access was ended meanwhile. */
async function refusal(database: Database, id: string): Promise<ServiceError> {
  const other = await row<{ id: string }>(
    database.pool,
    sql`select o.id from support_access_grants o join support_access_grants mine on mine.id = ${id}::uuid
      where o.organization_id = mine.organization_id and coalesce(o.user_id, '') = coalesce(mine.user_id, '') and o.starts_at is not null
        and coalesce(o.access_ended_at, o.expires_at) > mine.created_at
      order by o.access_ended_at is null desc, o.starts_at desc limit 1`,
  );
  if (other !== undefined) return grantExists(other.id);
  return new ServiceError('grant-ended', 'Support access was ended while this grant was being created.');
}

const grantExists = (grantId: string): ServiceError =>
  new ServiceError('grant-exists', 'There is a live grant for the same; change or revoke that one.', {
    extensions: { grantId },
  });

const engineUnavailable = (cause: unknown): ServiceError =>
  new ServiceError('workflow-engine-unavailable', 'The workflow engine did not answer in time; nothing was granted.', {
    headers: { 'Retry-After': '1' },
    cause,
  });
