import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { inject } from 'vitest';

export interface TestDatabase {
  url: string;
  query<T extends pg.QueryResultRow>(text: string, values?: unknown[]): Promise<T[]>;
  /** Moves the clock of this database alone: every statement of the service reads it. Milliseconds, negative is back. */
  moveClock(byMs: number): Promise<void>;
  drop(): Promise<void>;
}

const asAdmin = async (work: (admin: pg.Client) => Promise<unknown>) => {
  const admin = new pg.Client({ connectionString: inject('postgresUrl') });
  await admin.connect();
  try {
    await work(admin);
  } finally {
    await admin.end();
  }
};

/** A migrated database of one's own, cloned from the run's template in some 20 ms, with a clock that a test can move. */
export async function cloneDatabase(): Promise<TestDatabase> {
  // the run's own number first, by which a later run knows what a killed one left
  const name = `test_${inject('templateDatabase').slice('template_'.length)}_${randomUUID().slice(0, 13).replace('-', '')}`;
  await asAdmin((admin) =>
    admin.query(`create database ${name} template ${inject('templateDatabase')} strategy file_copy`),
  );
  const url = inject('postgresUrl').replace(/\/postgres$/, `/${name}`);
  const pool = new pg.Pool({ connectionString: url, max: 2 });
  pool.on('error', () => undefined);
  await pool.query(`create table test_clock (offset_ms double precision not null); insert into test_clock values (0);
    create or replace function current_instant() returns timestamptz language sql volatile as
      $$ select date_trunc('milliseconds', clock_timestamp()) + (select offset_ms from test_clock) * interval '1 millisecond' $$`);
  return {
    url,
    query: async (text, values) => (await pool.query(text, values)).rows,
    moveClock: async (byMs) => void (await pool.query('update test_clock set offset_ms = offset_ms + $1', [byMs])),
    async drop() {
      await pool.end();
      await asAdmin((admin) => admin.query(`drop database if exists ${name} with (force)`));
    },
  };
}
