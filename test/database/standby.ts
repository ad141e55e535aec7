import { execFileSync } from 'node:child_process';
import { appendFileSync, chmodSync, cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, connect, type Socket } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AddressInfo } from 'node:net';
import pg from 'pg';
import { createDatabase, ensurePostgres, type Postgres } from '../../local/embedded-postgres.ts';
import { freePort } from '../../local/ports.ts';
import { giveToServer } from '../../local/postgres/account.ts';
import { whereDataLies } from '../../local/postgres/cluster.ts';
import { stopProcess } from '../../local/processes.ts';
import { migrate } from '../../src/migrate.ts';
import { eventually } from '../harness/client.ts';

export interface Replicated {
  /** Of the database, at the one or the other. */
  url(server: 'primary' | 'standby'): string;
  query(server: 'primary' | 'standby', statement: string): Promise<Record<string, unknown>[]>;
  /** The primary and all of its connections are gone at one blow. */
  killPrimary(): Promise<void>;
  /** The standby becomes a server that can be written. */
  promote(): Promise<void>;
  stop(): Promise<void>;
}

/** A migrated database and its streaming standby: copied cold, for the embedded binaries have no pg_basebackup. */
export async function startReplicated(): Promise<Replicated> {
  const directory = mkdtempSync(join(tmpdir(), 'session-management-replicated-'));
  chmodSync(directory, 0o755);
  const dataDirs = {
    primary: whereDataLies(join(directory, 'primary')),
    standby: whereDataLies(join(directory, 'standby')),
  };
  const ports = { primary: await freePort(), standby: await freePort() };
  const start = (server: 'primary' | 'standby') => ensurePostgres({ dataDir: dataDirs[server], port: ports[server] });
  const first = await start('primary');
  await migrate(await createDatabase(first.url, 'replicated'));
  await first.stop();
  execFileSync('cp', ['-a', dataDirs.primary, dataDirs.standby]);
  cpSync(`${dataDirs.primary}.password`, `${dataDirs.standby}.password`);
  const primary = await start('primary');
  const password = decodeURIComponent(new URL(primary.url).password);
  const conninfo = `host=127.0.0.1 port=${ports.primary} user=postgres password=${password}`;
  appendFileSync(join(dataDirs.standby, 'postgresql.auto.conf'), `primary_conninfo = '${conninfo}'\n`);
  writeFileSync(join(dataDirs.standby, 'standby.signal'), '');
  giveToServer(join(dataDirs.standby, 'standby.signal'));
  const servers: Record<'primary' | 'standby', Postgres> = { primary, standby: await start('standby') };
  const url = (server: 'primary' | 'standby') => servers[server].url.replace(/\/postgres$/, '/replicated');
  const query = async (server: 'primary' | 'standby', statement: string) => {
    const client = new pg.Client({ connectionString: url(server) });
    await client.connect();
    try {
      return (await client.query<Record<string, unknown>>(statement)).rows;
    } finally {
      await client.end();
    }
  };
  await eventually(
    () => query('primary', 'select state from pg_stat_replication'),
    (rows) => rows[0]?.['state'] === 'streaming',
  );
  return {
    url,
    query,
    killPrimary: () => stopProcess(servers.primary.identity, { signal: 'SIGQUIT' }),
    promote: async () => void (await query('standby', 'select pg_promote()')),
    async stop() {
      await servers.standby.stop();
      await servers.primary.stop();
      for (const dataDir of Object.values(dataDirs))
        for (const beside of ['', '.password', '.log', '.lock', '.users'])
          rmSync(dataDir + beside, { recursive: true, force: true });
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** One address that leads to another server when it is told to; what is open stays where it is. */
export async function startMovingAddress(
  databaseUrl: string,
): Promise<{ url: string; moveTo(url: string): void; close(): Promise<void> }> {
  let target = new URL(databaseUrl);
  const open = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(Number(target.port), target.hostname);
    open.add(client);
    client.on('error', () => upstream.destroy()).on('close', () => (open.delete(client), upstream.destroy()));
    upstream.on('error', () => client.destroy()).on('close', () => client.destroy());
    client.pipe(upstream).pipe(client);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = new URL(databaseUrl);
  url.port = String((server.address() as AddressInfo).port);
  return {
    url: url.href,
    moveTo: (other) => void (target = new URL(other)),
    async close() {
      server.close();
      for (const socket of open) socket.destroy();
      await once(server, 'close');
    },
  };
}
