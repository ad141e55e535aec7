import { sql } from 'kysely';
import { type Queryable, row } from '../database.ts';
import { ServiceError } from '../errors.ts';
import type { OnDecided } from '../service/index.ts';
import { type Answer, type KeyScope, matches, reserve, type Reservation, takeOver } from './idempotency-reservation.ts';

export interface IdempotencyKeys {
  /** Takes the key, or says what became of it. Throws `idempotency-key-reused` where it was sent with another body. */
  reserve(scope: KeyScope, bodyHash: Buffer): Promise<Reservation>;
  /** Takes over a lapsed reservation, forgetting what it decided; undefined where another request was faster. */
  takeOver(scope: KeyScope, lapsedId: string): Promise<string | undefined>;
  /** Records the decided resource in the decision's own transaction; where the key is no longer ours, nothing is decided. */
  onDecided(scope: KeyScope, reservationId: string): OnDecided;
  /** Keeps the answer for replays. */
  finish(scope: KeyScope, reservationId: string, answer: Answer): Promise<void>;
  /** Gives the key back after an answer that is never stored; a decided resource stays its key's, free to be taken over. */
  release(scope: KeyScope, reservationId: string): Promise<void>;
}

/** The keys in PostgreSQL, so that a retry may reach another process. */
export function createIdempotencyKeys(pool: Queryable): IdempotencyKeys {
  return {
    reserve: (scope, bodyHash) => reserve(pool, scope, bodyHash),
    takeOver: (scope, lapsedId) => takeOver(pool, scope, lapsedId),
    onDecided: (scope, reservationId) => async (transaction, resource) => {
      const ours = await row(
        transaction,
        sql`update idempotency_keys set resource_kind = ${resource.kind}, resource_id = ${resource.id}
          where ${matches(scope)} and reservation = ${reservationId} and response_status is null returning 1`,
      );
      if (ours === undefined) throw keyInUse();
    },
    async finish(scope, reservationId, { status, headers, body }) {
      await row(
        pool,
        sql`update idempotency_keys set response_status = ${status}, response_headers = ${JSON.stringify(headers)}::jsonb, response_body = ${body}
          where ${matches(scope)} and reservation = ${reservationId}`,
      );
    },
    async release(scope, reservationId) {
      await row(
        pool,
        sql`with freed as (delete from idempotency_keys where ${matches(scope)} and reservation = ${reservationId} and resource_id is null)
          update idempotency_keys set reserved_until = current_instant() where ${matches(scope)} and reservation = ${reservationId} and resource_id is not null`,
      );
    },
  };
}

export const keyInUse = () =>
  new ServiceError('idempotency-key-in-use', 'A request with this Idempotency-Key is still running.', {
    headers: { 'Retry-After': '1' },
  });
