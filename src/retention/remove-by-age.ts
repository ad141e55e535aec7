/** What goes by its age alone. Each returns how many rows went, at most `limit`. */
import { sql } from 'kysely';
import { rows, type Transaction } from '../database.ts';

const count = async (removed: Promise<unknown[]>): Promise<number> => (await removed).length;

/** A key is honoured for 24 hours; after that the same key is a new one. */
export const removeIdempotencyKeys = (transaction: Transaction, limit: number): Promise<number> =>
  count(
    rows(
      transaction,
      sql`delete from idempotency_keys where (caller, path, key) in (
        select caller, path, key from idempotency_keys where created_at < (select current_instant()) - interval '24 hours'
        order by created_at limit ${limit} for update skip locked) returning 1`,
    ),
  );

/** An event that is delivered again after a week is folded once more, which changes nothing but its answer. */
export const removeSeenEvents = (transaction: Transaction, limit: number): Promise<number> =>
  count(
    rows(
      transaction,
      sql`delete from seen_session_events where (organization_id, event_id) in (
        select organization_id, event_id from seen_session_events where seen_at < (select current_instant()) - interval '7 days'
        order by seen_at limit ${limit} for update skip locked) returning 1`,
    ),
  );

/** Grants that never came alive; nothing refers to them, and nobody was ever shown one. */
export const removeVoidedGrants = (transaction: Transaction, limit: number): Promise<number> =>
  count(
    rows(
      transaction,
      sql`delete from support_access_grants where id in (
        select id from support_access_grants where starts_at is null and voided_at < (select current_instant()) - interval '7 days'
        limit ${limit} for update skip locked) returning 1`,
    ),
  );
