import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import type { Clock } from './clock.ts';
import { errorFields, type Log } from './log.ts';
import { endSessionsAndTell } from './sign-in/end-sessions.ts';

const everyMs = 60_000;
const atOnce = 5000;

/** Removes what has expired, and ends sign-ins whose process died while it waited for the answer to their start. */
export function startHousekeeping({ pool, clock, log }: { pool: pg.Pool; clock: Clock; log: Log }): {
  stop(): Promise<void>;
} {
  const stopping = new AbortController();

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      await tidy(pool, clock).catch((error: unknown) => log('housekeeping failed', errorFields(error)));
      await sleep(everyMs, undefined, { signal: stopping.signal, ref: false }).catch(() => {});
    }
  }
  const running = run();
  return {
    async stop() {
      stopping.abort();
      await running;
    },
  };
}

async function tidy(pool: pg.Pool, clock: Clock): Promise<void> {
  const { rows } = await pool.query<{ session_id: string }>(
    `select session_id from auth_sessions where accepted_at is null and ended_at is null and started_at < $1 limit ${atOnce}`,
    [new Date(clock.now().getTime() - everyMs)],
  );
  if (rows.length > 0) {
    const ids = rows.map((row) => row.session_id);
    await endSessionsAndTell({ pool, clock }, ids, 'unanswered');
  }
  // a consumed token stays until it expires: it is how a replay is recognised
  for (const [table, key] of [
    ['auth_tokens', 'key'],
    ['auth_artifacts', '(model, key)'],
  ] as const) {
    await pool.query(
      `delete from ${table} where ${key} in (select ${key.replace(/[()]/g, '')} from ${table} where expires_at < clock_timestamp() limit ${atOnce})`,
    );
  }
}
