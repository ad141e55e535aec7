import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { inject } from 'vitest';

export interface EmptyDatabase {
  url: URL;
  /** Moves its clock, by which the service decides everything, so far from the real one. */
  moveClock(byMs: number): Promise<void>;
  drop(): Promise<void>;
}

/** A database without a table, so that the migration has everything to do. */
export async function createEmptyDatabase(): Promise<EmptyDatabase> {
  // the run's own number first, by which a later run knows what a killed one left
  const number = inject('templateDatabase').slice('template_'.length);
  const name = `test_${number}_outside_${randomUUID().slice(0, 8)}`;
  await execute(inject('postgresUrl'), `create database ${name}`);
  const url = new URL(inject('postgresUrl'));
  url.pathname = `/${name}`;
  return {
    url,
    moveClock: (byMs) =>
      execute(
        url.href,
        `create or replace function current_instant() returns timestamptz language sql volatile as
          $$ select date_trunc('milliseconds', clock_timestamp()) + ${byMs} * interval '1 millisecond' $$`,
      ),
    drop: () => execute(inject('postgresUrl'), `drop database if exists ${name} with (force)`),
  };
}

async function execute(connectionString: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
