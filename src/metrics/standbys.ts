import { sql } from 'kysely';
import { type Database, row } from '../database.ts';

/**
 * Whether the database has standbys, and none of them is waited for at a commit. False also where the role may not see it:
 * a role without `pg_read_all_stats` is shown that there are some, and not what they are.
 */
export async function everyStandbyIsAsynchronous(database: Pick<Database, 'pool'>): Promise<boolean> {
  const answer = await row<{ lossy: boolean | null }>(
    database.pool,
    // (what decodes the log for others is no standby, and neither is a backup)
    sql`select bool_and(sync_state = 'async') as lossy from pg_stat_replication r where state = 'streaming'
      and not exists (select from pg_replication_slots s where s.active_pid = r.pid and s.slot_type = 'logical')`,
  );
  return answer?.lossy === true;
}
