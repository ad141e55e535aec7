/** How a test stops a worker process at a certain moment, without sleeping. */
import pg from 'pg';
import { eventually } from '../harness/client.ts';
import type { TestDatabase } from '../harness/database.ts';
import type { ServiceProcess } from '../harness/service-process.ts';

const waitingForALock = `state = 'active' and wait_event_type = 'Lock'`;
const workersConnections = (database: TestDatabase, which: string) =>
  database.query(
    `select 1 from pg_stat_activity where datname = current_database() and application_name = 'session-management-worker' and ${which}`,
  );

/** Stops it between two of its statements, so that nothing it holds is in anybody's way. */
export const freeze = (worker: ServiceProcess, database: TestDatabase) =>
  eventually(
    async () => {
      worker.child.kill('SIGSTOP');
      const busy = await workersConnections(database, `state <> 'idle' and not (${waitingForALock})`);
      if (busy.length > 0) worker.child.kill('SIGCONT');
      return busy.length;
    },
    (busy) => busy === 0,
  );

/** Keeps an organization's decisions about grants waiting until `release`. */
export async function holdDecisions(database: TestDatabase, organization: string) {
  const holder = new pg.Client({ connectionString: database.url });
  await holder.connect();
  await holder.query('select pg_advisory_lock(hashtextextended($1, 0))', [JSON.stringify(['grants', organization])]);
  return {
    release: () => holder.end(),
    untilTheWorkerWaits: () =>
      eventually(
        () => workersConnections(database, waitingForALock),
        (waiting) => waiting.length > 0,
      ),
  };
}
