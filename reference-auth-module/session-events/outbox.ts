import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { errorFields, type Log } from '../log.ts';
import { columns, fromRow, type Row } from '../sign-in/auth-session.ts';
import { endRejectedSessions } from '../sign-in/end-sessions.ts';
import { inTransaction } from '../transaction.ts';
import { sessionEvent, type Occurrence, type SessionEvent } from './session-event.ts';
import type { SessionService } from './session-service.ts';

/**
 * Delivers `auth_outbox` to the Session Management Service: at least once, in order, for as long as it takes.
 *
 * A row leaves the table only in the transaction that saw it answered, so nothing is lost in a crash; an advisory lock
 * keeps a second process on the same database from overtaking. A rejected chain or refresh kills the session here too.
 */
export interface Outbox {
  /** Resolves when nothing of these sessions is waiting any more, or after `timeoutMs`. */
  settled(sessionIds: readonly string[], timeoutMs: number): Promise<boolean>;
  wake(): void;
  stop(): Promise<void>;
}

const maxBatch = 1000;
const idleMs = 250;
const firstRetryMs = 100;
const lastRetryMs = 15_000;

export function startOutbox({ pool, service, log }: { pool: pg.Pool; service: SessionService; log: Log }): Outbox {
  const stopping = new AbortController();
  let awake = new AbortController();

  async function pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: AbortSignal.any([stopping.signal, awake.signal]) }).catch(() => {});
    if (awake.signal.aborted) awake = new AbortController();
  }

  async function run(): Promise<void> {
    let retryMs = firstRetryMs;
    while (!stopping.signal.aborted) {
      try {
        const delivered = await deliverBatch(pool, service, log);
        retryMs = firstRetryMs;
        if (delivered < maxBatch) await pause(idleMs);
      } catch (error) {
        log('session events wait', { retryMs, ...errorFields(error) });
        await sleep(retryMs * (0.75 + Math.random() / 2), undefined, { signal: stopping.signal }).catch(() => {});
        retryMs = Math.min(retryMs * 2, lastRetryMs);
      }
    }
  }
  const running = run();

  return {
    async settled(sessionIds, timeoutMs) {
      for (
        const deadline = Date.now() + timeoutMs;
        Date.now() < deadline && !stopping.signal.aborted;
        await sleep(15)
      ) {
        awake.abort();
        const { rowCount } = await pool.query('select 1 from auth_outbox where session_id = any($1) limit 1', [
          sessionIds,
        ]);
        if (rowCount === 0) return true;
      }
      return false;
    },
    wake: () => awake.abort(),
    async stop() {
      stopping.abort();
      await running;
    },
  };
}

async function deliverBatch(pool: pg.Pool, service: SessionService, log: Log): Promise<number> {
  return inTransaction(pool, async (client) => {
    if (!(await takeTurn(client))) return 0;
    const waiting = await oldest(client);
    if (waiting.length === 0) return 0;
    const events = waiting.map((entry) => entry.event);
    const results = await service.sendEvents(events);
    const rejected = results.flatMap((result, i) =>
      result.outcome === 'rejected' && events[i] && events[i].type !== 'session.ended'
        ? [{ ...result, sessionId: events[i].sessionId }]
        : [],
    );
    if (rejected.length > 0) {
      log('sessions ended, because their events were rejected', {
        reasons: [...new Set(rejected.map((r) => r.reason))],
      });
      await endRejectedSessions(client, [...new Set(rejected.map((r) => r.sessionId))]);
    }
    await client.query('delete from auth_outbox where id = any($1)', [waiting.map((entry) => entry.id)]);
    return waiting.length;
  });
}

async function takeTurn(client: pg.PoolClient): Promise<boolean> {
  const { rows } = await client.query<{ mine: boolean }>(
    `select pg_try_advisory_xact_lock(hashtext('reference-auth-module.outbox')) as mine`,
  );
  return rows[0]?.mine === true;
}

async function oldest(client: pg.PoolClient): Promise<{ id: string; event: SessionEvent }[]> {
  const { rows } = await client.query<Row & Occurrence & { id: string }>(
    `select id, event_id as "eventId", type, occurred_at as "occurredAt", chain_id as "chainId", s.*
     from (select * from auth_outbox order by id limit ${maxBatch}) o
     join (select ${columns} from auth_sessions) s on s."sessionId" = o.session_id
     order by id`,
  );
  return rows.map((row) => ({ id: row.id, event: sessionEvent(row, fromRow(row)) }));
}
