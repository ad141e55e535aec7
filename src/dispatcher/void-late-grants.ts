import { sql } from 'kysely';
import type { Database } from '../database.ts';
import { voidGrants } from '../service/support-access/decide-grants.ts';

/** Grants that were never activated, and whose request died before it could void them: a minute after their last chance. */
export const voidLateGrants = (database: Database): Promise<number> =>
  voidGrants(database.pool, sql`activate_before < (select current_instant()) - interval '1 minute'`);
