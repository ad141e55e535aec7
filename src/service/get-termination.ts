import { sql } from 'kysely';
import type { Database } from '../database.ts';
import { notFound } from '../errors.ts';
import { isUuid } from '../rules/identifier.ts';
import type { TerminationView } from '../rules/termination.ts';
import type { ChangeFeed } from './change-feed.ts';
import type { SessionManagementService } from './index.ts';
import { listRows } from './list-rows.ts';
import { requireLiveGrant } from './live-grant.ts';
import { newestById } from './newest-of.ts';
import { pageOf } from './pages.ts';
import { readTermination, terminationColumns, type TerminationRow, terminationView } from './termination-view.ts';

export interface TerminationReading {
  database: Database;
  accessTokenTtlSeconds: number;
}

/** One termination of the caller's organization. Throws `not-found` for an id that is foreign, malformed or absent. */
export const createGetTermination =
  ({ database, accessTokenTtlSeconds }: TerminationReading): SessionManagementService['getTermination'] =>
  async (terminationId, context) => {
    await requireLiveGrant(database.pool, context);
    return readView({ database, accessTokenTtlSeconds }, context.organizationId, terminationId);
  };

async function readView(
  { database, accessTokenTtlSeconds }: TerminationReading,
  organizationId: string,
  terminationId: string,
): Promise<TerminationView> {
  const found = isUuid(terminationId) ? await readTermination(database.pool, organizationId, terminationId) : undefined;
  if (found === undefined) throw notFound();
  return terminationView(found, accessTokenTtlSeconds);
}

/** The organization's terminations, newest first. */
export const createListTerminations =
  ({ database, accessTokenTtlSeconds }: TerminationReading): SessionManagementService['listTerminations'] =>
  async (context, { limit = 50, after = null } = {}) => {
    await requireLiveGrant(database.pool, context);
    const { where, orderBy } = newestById('t', context.organizationId, after);
    const found = await listRows<TerminationRow>(
      database.pool,
      sql`select ${terminationColumns} from terminations t where ${where} order by ${orderBy} limit ${limit + 1}`,
    );
    return pageOf(
      found,
      limit,
      (r) => ({ at: null, id: r.id }),
      (r) => terminationView(r, accessTokenTtlSeconds),
    );
  };

type ReadView = (organizationId: string, terminationId: string) => Promise<TerminationView>;

/** One change wakes every watcher in the same turn of the event loop; those who look in it share one read. */
function shareReads(read: ReadView): ReadView {
  const begun = new Map<string, Promise<TerminationView>>();
  return (organizationId, terminationId) => {
    const key = JSON.stringify([organizationId, terminationId]);
    const reading = begun.get(key) ?? read(organizationId, terminationId);
    if (!begun.has(key)) setImmediate(() => begun.delete(key));
    begun.set(key, reading);
    return reading;
  };
}

/** Between two looks at a termination nothing of which was notified: `stalled` changes by the clock alone. */
const QUIET_MS = 15_000;

/** The termination now and after every change, until it is verified or the signal aborts. One LISTEN connection serves all watchers. */
export const createWatchTermination = ({
  changes,
  ...reading
}: TerminationReading & { changes: ChangeFeed }): SessionManagementService['watchTermination'] => {
  const read = shareReads((organizationId, terminationId) => readView(reading, organizationId, terminationId));
  return async function* watchTermination(terminationId, context, signal) {
    using subscription = changes.subscribe(terminationId);
    let shown: TerminationView | undefined;
    while (!signal.aborted) {
      await requireLiveGrant(reading.database.pool, context);
      const termination = await read(context.organizationId, terminationId);
      if (JSON.stringify(termination) !== JSON.stringify(shown)) yield termination;
      shown = termination;
      if (termination.verifiedAt !== null) return;
      await subscription.next(QUIET_MS, signal);
    }
  };
};
