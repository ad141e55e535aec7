import { type RawBuilder, sql } from 'kysely';
import { type Queryable, rows } from '../database.ts';
import { ServiceError } from '../errors.ts';

/** A list that takes longer holds a connection that others wait for. */
export const listTimeoutMs = 5_000;

/**
 * All rows of a list's statement, which may take 5 seconds and no longer. The limit is of this transaction alone, so that
 * the connection is as it was for whoever has it next, also behind a pooler. Throws `database-unavailable`, with the hint
 * to ask for less, where it took longer.
 */
export async function listRows<T>(db: Queryable, statement: RawBuilder<T>): Promise<T[]> {
  try {
    return await db.transaction().execute(async (transaction) => {
      await sql.raw(`set local statement_timeout = ${listTimeoutMs}`).execute(transaction);
      return rows(transaction, statement);
    });
  } catch (error) {
    throw isCancelled(error) ? tookTooLong() : error;
  }
}

/** SQLSTATE `query_canceled`. */
function isCancelled(error: unknown): boolean {
  for (let e = error; e instanceof Error; e = e.cause) if ('code' in e && e.code === '57014') return true;
  return false;
}

/** Without its cause: of questions that share a statement each is asked again alone, as for no outage of the database. */
const tookTooLong = () =>
  new ServiceError(
    'database-unavailable',
    `The list took longer than ${listTimeoutMs / 1_000} seconds: narrow it by its filters, or ask for a smaller page.`,
    { headers: { 'Retry-After': '5' } },
  );
