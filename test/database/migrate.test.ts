import pg from 'pg';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { createDatabase } from '../../local/embedded-postgres.ts';
import { openDatabase } from '../../src/database.ts';
import { migrate } from '../../src/migrate.ts';
import { eventually } from '../harness/client.ts';

const name = `test_${process.pid}_locked`;
let url = '';
const connect = async (to: string) => {
  const client = new pg.Client({ connectionString: to });
  await client.connect();
  return client;
};
const drop = async () => {
  const admin = await connect(inject('postgresUrl'));
  await admin.query(`drop database if exists ${name} with (force)`);
  await admin.end();
};
/** As the first release left it. */
beforeAll(async () => {
  await drop();
  url = await createDatabase(inject('postgresUrl'), name);
  const database = await openDatabase({ url, applicationName: 'first-release', statementTimeoutMs: 0 });
  await database.orm.migrator.up({ to: 'Migration20261124000000_initial' });
  await database.close();
});
afterAll(drop);

it(
  'an upgrade that meets a long reader lets everybody by, and is done once the reader has ended',
  { timeout: 60_000 },
  async () => {
    const [reader, visitor] = await Promise.all([connect(url), connect(url)]);
    await reader.query('begin; select 1 from auth_module_slots; select 1 from sessions');
    let tries = 0;
    const applied = migrate(url, { tryAgainAfterMs: 200, onLocked: () => void (tries += 1) });
    const waits: number[] = [];
    await eventually(
      async () => {
        const startedAt = performance.now();
        await visitor.query('select 1 from auth_module_slots limit 1');
        waits.push(performance.now() - startedAt);
        return tries;
      },
      (met) => met >= 2,
    );
    expect(Math.max(...waits)).toBeLessThan(4_000);
    await reader.query('commit');
    expect((await applied).length).toBeGreaterThan(2);
    expect(await migrate(url)).toEqual([]);
    await Promise.all([reader.end(), visitor.end()]);
  },
);
