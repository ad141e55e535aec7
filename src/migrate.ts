/**
 * `npm run migrate`: brings the schema up to date. One at a time: a second one waits for the first.
 * `npm run migrate -- --restored`: after a backup was restored, decides what the lost time requires (`restore.ts`).
 */
import pg from 'pg';
import { openDatabase } from './database.ts';
import { describeRestored, markRestored } from './restore.ts';

const MIGRATION_LOCK = 7_203_114; // any constant that nothing else in this database uses

export async function migrate(databaseUrl: string): Promise<string[]> {
  const lock = new pg.Client({ connectionString: databaseUrl });
  await lock.connect();
  try {
    await lock.query('select pg_advisory_lock($1)', [MIGRATION_LOCK]);
    const database = await openDatabase({
      url: databaseUrl,
      applicationName: 'session-management-migrate',
      statementTimeoutMs: 0,
    });
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

async function main(url: string | undefined, args: string[]): Promise<string> {
  if (!url) throw new Error('DATABASE_URL: is required');
  if (args.length === 1 && args[0] === '--restored') return describeRestored(await markRestored(url));
  if (args.length > 0) throw new Error('usage: npm run migrate [-- --restored]');
  const applied = await migrate(url);
  return applied.length === 0 ? 'The schema is up to date.' : `Applied ${applied.join(', ')}.`;
}

if (import.meta.main) {
  try {
    process.stdout.write(`${await main(process.env['DATABASE_URL'], process.argv.slice(2))}\n`);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}
