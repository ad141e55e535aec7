import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { describe, expect, it } from 'vitest';
import { freePort } from '../../local/ports.ts';
import { giveToServer, serverAccount } from '../../local/postgres/account.ts';
import { eventually } from '../harness/client.ts';
import { toolFor } from '../harness/optional-tools.ts';

const initdb = toolFor('olderPostgres') ?? '';

const migrate = (DATABASE_URL: string) =>
  spawnSync(process.execPath, [fileURLToPath(new URL('../../src/migrate.ts', import.meta.url))], {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'], DATABASE_URL },
  });

describe.skipIf(initdb === '')('a PostgreSQL older than 18', () => {
  it('is refused by npm run migrate in one line, and nothing is changed', { timeout: 60_000 }, async () => {
    const directory = mkdtempSync(join(tmpdir(), 'session-management-old-'));
    chmodSync(directory, 0o755);
    const dataDir = join(directory, 'data');
    mkdirSync(dataDir, { mode: 0o700 });
    giveToServer(dataDir);
    execFileSync(initdb, ['-D', dataDir, '-U', 'postgres', '-A', 'trust'], {
      ...serverAccount,
      cwd: '/',
      stdio: 'ignore',
    });
    const port = await freePort();
    const args = [
      '-D',
      dataDir,
      '-p',
      String(port),
      '-c',
      'listen_addresses=127.0.0.1',
      '-c',
      'unix_socket_directories=',
    ];
    const server = spawn(join(dirname(initdb), 'postgres'), args, { ...serverAccount, cwd: '/', stdio: 'ignore' });
    const ended = once(server, 'exit');
    const url = `postgres://postgres@127.0.0.1:${port}/postgres`;
    try {
      const client = await eventually(
        () => connected(url),
        (made) => made !== undefined,
        20_000,
      );
      const refused = migrate(url);
      expect(refused.status).toBe(1);
      expect(refused.stderr).toMatch(/^PostgreSQL 18 or newer is needed, and this server is \d+[^\n]*\n$/);
      const tables = await client?.query(`select 1 from pg_tables where schemaname = 'public'`);
      expect(tables?.rows).toEqual([]);
      await client?.end();
    } finally {
      server.kill('SIGQUIT');
      await ended;
      rmSync(directory, { recursive: true, force: true });
    }
  });
});

async function connected(connectionString: string): Promise<pg.Client | undefined> {
  const client = new pg.Client({ connectionString });
  return client.connect().then(
    () => client,
    () => undefined,
  );
}
