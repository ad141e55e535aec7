import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import { errorCode, messageOf } from './error-code.ts';
import { withFileLock } from './file-lock.ts';
import { readJsonFile, writeJsonFile } from './json-file.ts';
import { freePort } from './ports.ts';
import { findBinaries } from './postgres/binaries.ts';
import { createCluster, password, whereDataLies } from './postgres/cluster.ts';
import { findPostmaster, type Postmaster, readyPostmaster } from './postgres/postmaster.ts';
import { startServer } from './postgres/server.ts';
import { Problem } from './problem.ts';
import { endsWithin, identify, isAlive, type ProcessIdentity, processIdentity, stopProcess } from './processes.ts';

export interface PostgresOptions {
  /** Where the data lives. Beside it: `.password`, `.log`, `.lock`, `.users`. */
  dataDir: string;
  /** Default: any free one. A server that is found running keeps its own. */
  port?: number;
  /** Server settings, `{ fsync: 'off' }`. A server that is found running keeps its own. */
  settings?: Record<string, string>;
  /** Variables for the server, beside ours. */
  environment?: Record<string, string>;
}

export interface Postgres {
  /** The superuser's address of the database `postgres`. */
  url: string;
  port: number;
  /** Whether a running server was found, be it another user's or one whose starter was killed. */
  adopted: boolean;
  identity: ProcessIdentity;
  /** Ends our use of it. The last user's call stops the server and answers when it has ended. */
  stop(): Promise<void>;
}

/**
 * A real PostgreSQL 18 on this data directory, started if none runs there; no Docker, no system package, also for root.
 * Data survives stop, restart and kill -9. Any number of processes may ask for the same directory at once; the server
 * runs until the last living one of them has stopped using it.
 */
export async function ensurePostgres(options: PostgresOptions): Promise<Postgres> {
  const dataDir = whereDataLies(options.dataDir);
  return withFileLock(`${dataDir}.lock`, async () => {
    const found = await findAnswering(dataDir);
    const running = found ?? (await start(dataDir, options));
    enter(dataDir);
    return describe(dataDir, running, found !== undefined);
  });
}

/** Stops the server on this directory if none of its users lives: those who were killed have not said goodbye. */
export async function stopUnusedPostgres(asked: string): Promise<void> {
  const dataDir = whereDataLies(asked);
  await withFileLock(`${dataDir}.lock`, async () => {
    const server = findPostmaster(dataDir);
    if (!server || livingUsers(dataDir) > 0) return;
    // SIGINT is PostgreSQL's fast stop: sessions end, data is written, no recovery at the next start.
    await stopProcess(server.identity, { signal: 'SIGINT', graceMs: 30_000 });
  });
}

/** Creates the database unless it exists, and answers its address. */
export async function createDatabase(url: string, name: string): Promise<string> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    const { rowCount } = await client.query('select from pg_database where datname = $1', [name]);
    if (rowCount === 0) await client.query(`create database ${client.escapeIdentifier(name)}`);
  } catch (error) {
    const duplicate = ['42P04', '23505']; // 23505: made by another process at the same moment
    if (!duplicate.includes(errorCode(error) ?? '')) throw error;
  } finally {
    await client.end();
  }
  const database = new URL(url);
  database.pathname = `/${encodeURIComponent(name)}`;
  return database.href;
}

/** The running server, if it lets us in. One that was killed this instant still looks alive for a moment. */
async function findAnswering(dataDir: string): Promise<Postmaster | undefined> {
  const found = await readyPostmaster(dataDir);
  if (!found) return undefined;
  const client = new Client({ connectionString: address(dataDir, found.port), connectionTimeoutMillis: 10_000 });
  client.on('error', () => {}); // told by the promises below
  try {
    await client.connect();
    await client.end();
    return found;
  } catch (error) {
    if (await endsWithin(found.identity, 2_000)) return undefined;
    throw new Problem(`PostgreSQL runs on ${dataDir} and does not let us in: ${messageOf(error)}`);
  }
}

async function start(dataDir: string, { port, settings = {}, environment = {} }: PostgresOptions): Promise<Postmaster> {
  const { postgres, initdb } = findBinaries();
  await createCluster(initdb, dataDir);
  return startServer({ postgres, dataDir, port: port ?? (await freePort()), settings, environment });
}

function describe(dataDir: string, { identity, port }: Postmaster, adopted: boolean): Postgres {
  const url = address(dataDir, port);
  return { url, port, adopted, identity, stop: () => leave(dataDir) };
}

function address(dataDir: string, port: number): string {
  return `postgres://postgres:${password(dataDir)}@127.0.0.1:${port}/postgres`;
}

/** A file for each process that uses the server, named by its id. */
function usersDirectory(dataDir: string): string {
  return `${dataDir}.users`;
}

function enter(dataDir: string): void {
  const directory = usersDirectory(dataDir);
  mkdirSync(directory, { recursive: true });
  writeJsonFile(join(directory, String(process.pid)), identify(process.pid));
}

async function leave(dataDir: string): Promise<void> {
  rmSync(join(usersDirectory(dataDir), String(process.pid)), { force: true });
  await stopUnusedPostgres(dataDir);
}

function livingUsers(dataDir: string): number {
  const directory = usersDirectory(dataDir);
  if (!existsSync(directory)) return 0;
  const files = readdirSync(directory).map((name) => join(directory, name));
  const living = files.filter((file) => {
    const user = readJsonFile(file, processIdentity);
    return user !== undefined && isAlive(user);
  });
  for (const file of files) if (!living.includes(file)) rmSync(file, { force: true });
  return living.length;
}
