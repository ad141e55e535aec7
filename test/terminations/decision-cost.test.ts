import { sql } from 'kysely';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Database, openDatabase, row } from '../../src/database.ts';
import type { TerminationScope } from '../../src/rules/termination.ts';
import { insertTermination } from '../../src/service/insert-termination.ts';
import { lockScope } from '../../src/service/locks.ts';
import { systemActor } from '../../src/service/record-audit.ts';
import { cloneDatabase, type TestDatabase } from '../harness/database.ts';

const SESSIONS = Number(process.env['DECISION_SESSIONS'] ?? 20_000);

let clone: TestDatabase;
let database: Database;
beforeAll(async () => {
  clone = await cloneDatabase();
  database = await openDatabase({ url: clone.url, applicationName: 'decision-cost', poolSize: 1 });
  await clone.query(
    `insert into organizations (id) values ('big'); insert into users (organization_id, id) values ('big', 'grace')`,
  );
  await clone.query(
    `insert into sessions (organization_id, id, user_id, started_at, recorded_at, last_seen_at)
      select 'big', 's' || n, 'grace', at, at, at from generate_series(1, $1::int) n, lateral (select current_instant() - n * interval '1 second' as at) stamps`,
    [SESSIONS],
  );
  // and as many fences of before
  await clone.query(
    `insert into terminations (organization_id, scope_kind, scope_id, cutoff, status, requested_at, requested_by, progress_at, completed_at, verified_at, next_look_at, dispatch_after)
      select 'big', kind, id, at, 'completed', at, '{}', at, at, at, at, at
      from generate_series(1, $1::int / 2) n, lateral (select current_instant() - n * interval '1 second' as at) stamps, (values ('user', 'grace'), ('organization', 'big')) scope (kind, id)`,
    [SESSIONS],
  );
  await clone.query('vacuum analyze sessions');
  await clone.query('vacuum analyze terminations');
}, 600_000);
afterAll(async () => {
  await database.close();
  await clone.drop();
});

it.each<TerminationScope>([
  { kind: 'organization', id: 'big' },
  { kind: 'user', id: 'grace' },
])('a decision about a whole $kind reads a handful of rows, however many there are', async (scope) => {
  const read = await database.transaction(async (transaction) => {
    await lockScope(transaction, 'big', scope);
    await insertTermination(transaction, {
      organizationId: 'big',
      scope,
      fenceOf: null,
      keptSessionIds: [],
      requestedBy: systemActor,
      reason: null,
      joins: true,
      dispatchInMs: 0,
    });
    return row<{ scanned: string; by_index: string }>(
      transaction,
      sql`select sum(seq_tup_read) as scanned, sum(idx_tup_fetch) as by_index from pg_stat_xact_user_tables where relname in ('sessions', 'terminations')`,
    );
  });
  expect(read?.scanned).toBe('0');
  expect(Number(read?.by_index)).toBeLessThan(10);
});
