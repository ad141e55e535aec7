import { sql } from 'kysely';
import type { Logger } from 'pino';
import { type Database, rows } from '../database.ts';
import { createListener } from '../service/listener.ts';
import type { Decision, Deliver } from './deliver.ts';
import { startLoop } from './loop.ts';
import type { AuditSigner } from '../signing/audit-signer.ts';
import { createSealAudit } from './seal-audit.ts';
import { createSignHeads } from './sign-heads.ts';
import { voidLateGrants } from './void-late-grants.ts';

export interface Dispatcher {
  stop(): Promise<void>;
}

export interface DispatcherOptions {
  database: Database;
  deliver: Deliver;
  /** Undefined: no head is signed. */
  signer?: AuditSigner | undefined;
  logger: Logger;
}

/** Deliveries in flight at most. */
const BATCH = 4;
const POLL_MS = 1_000;

/**
 * Runs in every worker process, any number of them. Delivers what a request could not, and, from PostgreSQL alone, what
 * has gone silent: a workflow writes when it will look next, and a row a minute past that is told again, backing off.
 */
export function startDispatcher({ database, deliver, signer, logger }: DispatcherOptions): Dispatcher {
  const deliveries = startLoop({
    name: 'deliveries',
    work: () => dispatch(database, deliver),
    pollMs: POLL_MS,
    logger,
  });
  const books = startLoop({
    name: 'books',
    work: createKeepBooks({ database, signer, logger }),
    pollMs: POLL_MS / 2,
    logger,
  });
  const listener = createListener({
    connector: database.listening,
    channel: 'decisions',
    onNotify: () => deliveries.wake(),
    onConnect: () => deliveries.wake(),
  });
  return {
    async stop() {
      await Promise.all([deliveries.stop(), books.stop(), listener.close()]);
    },
  };
}

/** One round. True when there may be more at once; false when all is delivered, or the engine cannot be reached now. */
async function dispatch(database: Database, deliver: Deliver): Promise<boolean> {
  let more = false;
  for (const kind of ['termination', 'grant'] as const) {
    const due = await claim(database, kind);
    const delivered = await Promise.all(due.map(deliver));
    more ||= due.length === BATCH && delivered.every(Boolean);
  }
  return more;
}

/** What nobody waits for: grants that were never activated are voided, the audit is sealed and its heads are signed. */
function createKeepBooks({ database, signer, logger }: Omit<DispatcherOptions, 'deliver'>) {
  const sealAudit = createSealAudit(database);
  const signHeads = signer && createSignHeads({ database, signer, logger });
  return async () => {
    await voidLateGrants(database);
    await sealAudit();
    await signHeads?.();
    return false;
  };
}

const tables = { termination: sql.table('terminations'), grant: sql.table('support_access_grants') };
const scope = {
  termination: sql.raw("t.scope_kind || ':' || t.scope_id"),
  grant: sql.raw("'grant:' || coalesce(t.user_id, '*')"),
};
const open = {
  termination: sql.raw('verified_at is null'),
  grant: sql.raw('settled_at is null and voided_at is null and starts_at is not null'),
};

/**
 * `(select current_instant())` is read once, before the rows, which makes it the end of a range of the index; a function
 * that is asked anew for each row only filters.
 *
 * Takes rows that are due, so that no other process has them in this moment. Undelivered ones come again after 1, 2, 4 …
 * 30 s; silent ones after 1, 2, 4 … 15 min. An undelivered one is never put off for longer than a minute: where it is, the
 * database's clock has been set back since, and it is due.
 */
async function claim(database: Database, kind: Decision['kind']): Promise<Decision[]> {
  return rows<Decision>(
    database.pool,
    sql`with due as (
        select id from ${tables[kind]} where ${open[kind]} and dispatch_after <= (select current_instant())
          and (delivered_revision < revision or next_look_at < (select current_instant()) - interval '1 minute')
        order by dispatch_after limit ${BATCH} for update skip locked
      ), put_off as (
        select id from ${tables[kind]} where ${open[kind]} and delivered_revision < revision
          and dispatch_after > (select current_instant()) + interval '1 minute' limit ${BATCH} for update skip locked
      ), taken as (select id from due union select id from put_off)
      update ${tables[kind]} t set dispatch_count = least(dispatch_count + 1, 30), dispatch_after = current_instant() + case
        when delivered_revision < revision then least(power(2, least(dispatch_count, 5)), 30) * interval '1 second'
        else least(power(2, least(dispatch_count, 4)), 15) * interval '1 minute' end
      from taken where t.id = taken.id
      returning ${kind}::text as kind, t.id, t.organization_id as "organizationId", t.revision, ${scope[kind]} as scope`,
  );
}
