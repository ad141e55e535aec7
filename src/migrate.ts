/** `npm run migrate`: brings the schema up to date. One at a time: a second one waits for the first. */
import pg from 'pg';
import { openDatabase } from './database.ts';

const MIGRATION_LOCK = 7_203_114; // any constant that nothing else in this database uses

export async function migrate(databaseUrl: string): Promise<string[]> {
  const lock = new pg.Client({ connectionString: databaseUrl });
  await lock.connect();
  try {
    await lock.query('select pg_advisory_lock($1)', [MIGRATION_LOCK]);
    const database = await openDatabase({ url: databaseUrl, applicationName: 'session-management-migrate', statementTimeoutMs: 0 });
    try {
      const applied = await database.orm.migrator.up();
      return applied.map((migration) => migration.name);
    } finally {
      await database.close();
    }
  } finally {
    await lock.end();
  }
}

if (import.meta.main) {
  const url = process.env['DATABASE_URL'];
  if (!url) {
    process.stderr.write('DATABASE_URL: is required\n');
    process.exit(1);
  }
  const applied = await migrate(url);
  process.stdout.write(applied.length === 0 ? 'The schema is up to date.\n' : `Applied ${applied.join(', ')}.\n`);
}
