import { sql } from 'kysely';
import type { Logger } from 'pino';
import { type Database, rows } from '../database.ts';
import { createListener } from '../service/change-feed.ts';
import type { Decision, Deliver } from './deliver.ts';
import { sealAudit } from './seal-audit.ts';
import { voidLateGrants } from './void-late-grants.ts';

export interface Dispatcher {
  stop(): Promise<void>;
}

export interface DispatcherOptions {
  database: Database;
  deliver: Deliver;
  logger: Logger;
}

/** Deliveries in flight at most. */
const BATCH = 20;
const POLL_MS = 1_000;

/**
 * Runs in every worker process, any number of them. Delivers what a request could not, and, from PostgreSQL alone, what
 * has gone silent: a workflow writes when it will look next, and a row a minute past that is told again, backing off.
 */
export function startDispatcher({ database, deliver, logger }: DispatcherOptions): Dispatcher {
  let stopped = false;
  let rest: { wake: () => void } | undefined;
  let woken = false;
  const wake = () => {
    woken = true;
    rest?.wake();
  };
  const listener = createListener({ url: database.url, channel: 'decisions', onNotify: wake, onConnect: wake });
  const pause = async () => {
    if (!woken) {
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        rest = { wake: resolve };
        timer = setTimeout(resolve, POLL_MS);
      });
      clearTimeout(timer);
    }
    rest = undefined;
    woken = false;
  };
  const run = async () => {
    while (!stopped) {
      try {
        const full = await dispatch(database, deliver);
        await voidLateGrants(database);
        await sealAudit(database);
        if (full) continue;
      } catch (error) {
        logger.warn({ error: error instanceof Error ? error.message : 'unknown' }, 'the dispatcher could not look; it looks again');
        woken = false;
      }
      if (!stopped) await pause();
    }
  };
  const running = run();
  return {
    async stop() {
      stopped = true;
      wake();
      await running;
      await listener.close();
    },
  };
}

/** One round. True when there may be more at once; false when all is delivered, or the engine cannot be reached now. */
async function dispatch(database: Database, deliver: Deliver): Promise<boolean> {
  const due = [...(await claim(database, 'termination')), ...(await claim(database, 'grant'))];
  const delivered = await Promise.all(due.map(deliver));
  return due.length >= BATCH && delivered.every(Boolean);
}

const tables = { termination: sql.table('terminations'), grant: sql.table('support_access_grants') };
const open = { termination: sql.raw('verified_at is null'), grant: sql.raw('settled_at is null and voided_at is null and starts_at is not null') };

/**
 * Takes rows that are due, so that no other process has them in this moment. Undelivered ones come again after 1, 2, 4 …
 * 30 s; silent ones after 1, 2, 4 … 15 min.
 */
async function claim(database: Database, kind: Decision['kind']): Promise<Decision[]> {
  const claimed = await rows<{ id: string }>(
    database.pool,
    sql`with due as (
        select id from ${tables[kind]} where ${open[kind]} and dispatch_after <= current_instant()
          and (delivered_revision < revision or next_look_at < current_instant() - interval '1 minute')
        order by dispatch_after limit ${BATCH} for update skip locked
      )
      update ${tables[kind]} t set dispatch_count = least(dispatch_count + 1, 30), dispatch_after = current_instant() + case
        when delivered_revision < revision then least(power(2, least(dispatch_count, 5)), 30) * interval '1 second'
        else least(power(2, least(dispatch_count, 4)), 15) * interval '1 minute' end
      from due where t.id = due.id returning t.id`,
  );
  return claimed.map(({ id }) => ({ kind, id }));
}
