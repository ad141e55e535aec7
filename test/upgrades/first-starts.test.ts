import pg from 'pg';
import { expect, inject, it, onTestFinished } from 'vitest';
import { createDatabase } from '../../local/embedded-postgres.ts';
import { openDatabase } from '../../src/database.ts';
import { migrate } from '../../src/migrate.ts';

const before = 'Migration20261126000003_states_of_one_user';

/** A database as the version before lists were ordered by start has left it, with sessions in it. */
async function databaseOfBefore(sessions: number): Promise<{ client: pg.Client; url: string }> {
  const name = `test_${process.pid}_first_starts`;
  const url = await createDatabase(inject('postgresUrl'), name);
  const database = await openDatabase({ url, applicationName: 'session-management-migrate' });
  await database.orm.migrator.up({ to: before });
  await database.close();
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  onTestFinished(async () => {
    await client.end();
    const admin = new pg.Client({ connectionString: inject('postgresUrl') });
    await admin.connect();
    await admin.query(`drop database if exists ${name} with (force)`);
    await admin.end();
  });
  await client.query(
    `insert into organizations (id) values ('o'); insert into users (organization_id, id) values ('o', 'u')`,
  );
  await insertAsBefore(client, 's', sessions);
  return { client, url };
}

/** As the previous version does, which knows no first start. */
const insertAsBefore = (client: pg.Client, prefix: string, count: number) =>
  client.query(
    `insert into sessions (organization_id, id, user_id, started_at, recorded_at, last_seen_at)
     select 'o', $1 || n, 'u', now() - n * interval '1 second', now(), now() from generate_series(1, $2::int) n`,
    [prefix, count],
  );

it('sessions of before get their first start, while the previous version goes on writing, and keep it', async () => {
  const { client, url } = await databaseOfBefore(12_000);
  const migrating = migrate(url);
  const done = { yet: false };
  void migrating.finally(() => (done.yet = true)).catch(() => undefined);
  let written = 0;
  for (; !done.yet; written += 10) {
    await insertAsBefore(client, `during-${written}-`, 10);
    await client.query(`update sessions set last_seen_at = now() where id = $1`, [`s${1 + (written % 12_000)}`]);
  }
  await migrating;
  await insertAsBefore(client, 'after-', 10);
  const { rows } = await client.query(
    `select count(*)::int as all, count(*) filter (where first_started_at = started_at)::int as given from sessions`,
  );
  expect(rows).toEqual([{ all: 12_010 + written, given: 12_010 + written }]);
  await client.query(`update sessions set started_at = started_at - interval '1 hour'`);
  expect((await client.query('select 1 from sessions where first_started_at = started_at')).rowCount).toBe(0);
  expect((await client.query('select indexrelid::regclass from pg_index where not indisvalid')).rows).toEqual([]);
});
