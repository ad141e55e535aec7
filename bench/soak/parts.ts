/** The parts of the soak: each a process (the Auth Module, a server) that can be killed as a crash would, and comes back. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { createDatabase, ensurePostgres } from '../../local/embedded-postgres.ts';
import { freePort } from '../../local/ports.ts';
import { startTemporal } from '../../local/temporal-server.ts';
import type { FaultyAuthModule } from '../../test/faulty-auth-module.ts';
import { residentMiB } from '../memory.ts';
import { until } from '../stack.ts';

const projectDirectory = fileURLToPath(new URL('../..', import.meta.url));
export const dataDirectory = join(projectDirectory, '.data', 'soak');

export interface Part {
  name: string;
  /** Kills it as a crash would and starts it again; resolves when it serves. */
  crash(): Promise<void>;
  /** Resident memory; null where it cannot be told. */
  megabytes(): number | null;
  stop(): Promise<void>;
}

export async function query<T extends pg.QueryResultRow>(url: string, text: string): Promise<T[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<T>(text)).rows;
  } finally {
    await client.end();
  }
}

export async function processPart(
  name: string,
  file: string,
  environment: Record<string, string>,
  isUp: string,
): Promise<Part> {
  const log = openSync(join(dataDirectory, `${name.replace(' ', '-')}.log`), 'w');
  let child: ChildProcess;
  const start = async () => {
    child = spawn(process.execPath, [join(projectDirectory, file)], {
      env: { PATH: process.env['PATH'], ...environment },
      stdio: ['ignore', log, log],
    });
    await until(async () => (await fetch(isUp)).ok, 120_000);
  };
  const end = async (signal: NodeJS.Signals) => {
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  };
  process.once('exit', () => child.kill('SIGKILL'));
  await start();
  return {
    name,
    crash: async () => (await end('SIGKILL'), start()),
    megabytes: () => residentMiB(child.pid),
    stop: () => end('SIGTERM'),
  };
}

export function authModulePart(authModule: FaultyAuthModule): Part {
  const crash = async () => {
    await authModule.stop();
    await sleep(5_000);
    await authModule.restart();
  };
  return { name: 'auth module', crash, megabytes: () => null, stop: () => authModule.stop() };
}

export async function temporalPart(cli: string, name: string): Promise<Part & { address: string }> {
  const options = {
    cli,
    port: await freePort(),
    namespace: 'default',
    dbFile: join(dataDirectory, `${name}.db`),
    logFile: join(dataDirectory, 'temporal.log'),
  };
  let temporal = await startTemporal(options);
  const crash = async () => {
    process.kill(temporal.pid, 'SIGKILL');
    await sleep(3_000);
    temporal = await startTemporal(options);
  };
  return {
    name: 'temporal',
    address: temporal.address,
    crash,
    megabytes: () => residentMiB(temporal.pid),
    stop: () => temporal.stop(),
  };
}

export async function postgresPart(name: string): Promise<Part & { databaseUrl: string }> {
  const options = {
    dataDir: join(dataDirectory, 'postgres'),
    port: await freePort(),
    settings: { max_connections: '200' },
  };
  let postgres = await ensurePostgres(options);
  const databaseUrl = await createDatabase(postgres.url, name);
  const crash = async () => {
    // an immediate stop: no checkpoint, every connection is cut, recovery from the log at the start
    process.kill(postgres.identity.pid, 'SIGQUIT');
    await sleep(2_000);
    postgres = await ensurePostgres(options);
  };
  const stop = async () => {
    await query(postgres.url, `drop database if exists ${name} with (force)`);
    await postgres.stop();
  };
  return { name: 'postgres', databaseUrl, crash, megabytes: () => null, stop };
}
