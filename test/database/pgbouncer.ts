import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../local/ports.ts';
import { giveToServer, serverAccount } from '../../local/postgres/account.ts';
import { createConnector } from '../../src/database/connector.ts';
import { eventually } from '../harness/client.ts';

export interface Pooler {
  /** The same address, by way of the pooler. */
  through(url: string): string;
  stop(): Promise<void>;
}

/** A real PgBouncer in transaction mode before this server, with few connections to it. */
export async function startPgBouncer(
  program: string,
  databaseUrl: string,
  users: Record<string, string>,
  settings: Record<string, string> = {},
): Promise<Pooler> {
  const directory = mkdtempSync(join(tmpdir(), 'session-management-pgbouncer-'));
  chmodSync(directory, 0o755);
  const server = new URL(databaseUrl);
  const port = await freePort();
  const write = (name: string, lines: string[]) => {
    const file = join(directory, name);
    writeFileSync(file, `${lines.join('\n')}\n`, { mode: 0o600 });
    giveToServer(file);
    return file;
  };
  const all: Record<string, string> = {
    listen_addr: '127.0.0.1',
    listen_port: String(port),
    unix_socket_dir: '',
    auth_type: 'trust',
    auth_file: write(
      'users.txt',
      Object.entries(users).map(([user, password]) => `"${user}" "${password}"`),
    ),
    pool_mode: 'transaction',
    default_pool_size: '4',
    max_client_conn: '400',
    ...settings,
  };
  const configuration = write('pgbouncer.ini', [
    '[databases]',
    `* = host=${server.hostname} port=${server.port}`,
    '[pgbouncer]',
    ...Object.entries(all).map(([name, value]) => `${name} = ${value}`),
  ]);
  const child = spawn(program, [configuration], {
    ...serverAccount,
    cwd: '/',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = once(child, 'exit');
  const said = collect(child);
  const through = (url: string) => {
    const pooled = new URL(url);
    pooled.hostname = '127.0.0.1';
    pooled.port = String(port);
    return pooled.href;
  };
  await eventually(() => answers(through(databaseUrl), child, said), Boolean, 10_000);
  return {
    through,
    async stop() {
      child.kill('SIGINT');
      child.kill('SIGKILL');
      await ended;
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function collect(child: ChildProcess): () => string {
  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (data: Buffer) => lines.push(data.toString()));
  return () => lines.join('');
}

async function answers(url: string, child: ChildProcess, said: () => string): Promise<boolean> {
  if (child.exitCode !== null) throw new Error(`PgBouncer ended: ${said()}`);
  return createConnector({ url, environment: {} })
    .connect({ connectionTimeoutMillis: 1_000 })
    .then(
      (client) => client.end().then(() => true),
      () => false,
    );
}
