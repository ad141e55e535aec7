import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll } from 'vitest';
import { createDatabase, ensurePostgres, type Postgres, type PostgresOptions } from '../../local/embedded-postgres.ts';
import { freePort } from '../../local/ports.ts';
import { whereDataLies } from '../../local/postgres/cluster.ts';
import { identify, stopProcess } from '../../local/processes.ts';
import { migrate } from '../../src/migrate.ts';

export interface OwnPostgresOptions {
  /** Settings of the server; files it reads are made in this directory, which its account can enter. */
  settings?: (directory: string) => Record<string, string> | Promise<Record<string, string>>;
  /** Variables of the server's process. */
  environment?: PostgresOptions['environment'];
}

export interface OwnPostgres {
  /** Of the server itself, as its superuser. */
  url(): string;
  /** Of its data, which is whole while it does not run. */
  dataDir(): string;
  /** For `useStack`: raises the server, with a migrated database. */
  environment(): Promise<{ DATABASE_URL: string }>;
  /** The server and every process of it at one blow, as if the machine had lost them. */
  kill9(): Promise<void>;
  /** The same server again: same address, same data. */
  start(): Promise<void>;
  /** What the server has said since it was started. */
  log(): string;
}

/** A PostgreSQL of this file's own that may be killed. Call it before `useStack`, so that it outlives the stack. */
export function useOwnPostgres({ settings, environment }: OwnPostgresOptions = {}): OwnPostgres {
  let directory = '';
  let dataDir = '';
  let port = 0;
  let server: Postgres | undefined;
  // a run that ends early must not leave it behind: nobody else would ever stop it
  const abandon = () => void (server && identify(server.identity.pid) && process.kill(server.identity.pid, 'SIGQUIT'));
  const self: OwnPostgres = {
    url: () => server?.url ?? '',
    dataDir: () => dataDir,
    async environment() {
      directory = mkdtempSync(join(tmpdir(), 'session-management-postgres-'));
      chmodSync(directory, 0o755);
      dataDir = whereDataLies(join(directory, 'data'));
      port = await freePort();
      await self.start();
      const url = await createDatabase(server?.url ?? '', 'own');
      await migrate(url);
      return { DATABASE_URL: url };
    },
    async start() {
      server = await ensurePostgres({
        dataDir,
        port,
        ...(environment && { environment }),
        ...(settings && { settings: await settings(directory) }),
      });
    },
    log: () => readFileSync(`${dataDir}.log`, 'utf8'),
    async kill9() {
      if (server === undefined) return;
      const { identity, url } = server;
      const children = await processesOf(url);
      // the postmaster first: it would replace the others
      await stopProcess(identity, { signal: 'SIGKILL' });
      await Promise.all(children.map((child) => stopProcess(child, { signal: 'SIGKILL' })));
    },
  };
  process.once('exit', abandon);
  afterAll(async () => {
    if (directory === '') return;
    await server?.stop();
    process.off('exit', abandon);
    for (const beside of ['', '.password', '.log', '.lock', '.users'])
      rmSync(dataDir + beside, { recursive: true, force: true });
    rmSync(directory, { recursive: true, force: true });
  });
  return self;
}

async function processesOf(url: string) {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query<{ pid: number }>('select pid from pg_stat_activity');
    return rows.flatMap(({ pid }) => identify(pid) ?? []);
  } finally {
    await client.end();
  }
}
