import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { errorCode } from '../error-code.ts';
import { commandLine, identify, type ProcessIdentity } from '../processes.ts';

/** A server that runs on a data directory, as its postmaster.pid tells. */
export interface Postmaster {
  identity: ProcessIdentity;
  port: number;
  ready: boolean;
}

/**
 * The server that runs on this data directory, if any. An id in the file that now belongs to another program, as after
 * a restart of a container, is not a server.
 */
export function findPostmaster(dataDir: string): Postmaster | undefined {
  const lines = pidFile(dataDir);
  if (!lines) return undefined;
  const identity = identify(Number(lines[0]));
  if (!identity || !isPostgres(identity.pid)) return undefined;
  return { identity, port: Number(lines[3]), ready: lines[7]?.trim() === 'ready' };
}

/** Waits until a server that is starting or recovering answers; undefined if it ended instead. */
export async function readyPostmaster(dataDir: string, timeoutMs = 60_000): Promise<Postmaster | undefined> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const found = findPostmaster(dataDir);
    if (!found || found.ready) return found;
    if (Date.now() > deadline) return undefined;
    await sleep(20);
  }
}

/** An id that no system gives, so that PostgreSQL sees a dead predecessor. */
const NOBODYS_ID = '2147483646';

/**
 * Lets a server start over the pid file of a killed one whose id now belongs to a zombie or another program: PostgreSQL
 * would take that for a running server. Only the id is replaced; the rest stays, for by it PostgreSQL notices backends
 * of the killed server that still write.
 */
export function disownPidFile(dataDir: string): void {
  const lines = pidFile(dataDir);
  if (!lines || findPostmaster(dataDir)) return;
  writeFileSync(join(dataDir, 'postmaster.pid'), [NOBODYS_ID, ...lines.slice(1)].join('\n'));
}

function isPostgres(pid: number): boolean {
  const command = commandLine(pid);
  // The postmaster's own command line names the program; its children call themselves "postgres: …".
  return command === '' ? process.platform === 'win32' : /(^|[\\/])postgres(\.exe)?[":\s]/.test(`${command} `);
}

/** The lines: id, data directory, start time, port, socket directory, listen address, shared memory, status. */
function pidFile(dataDir: string): string[] | undefined {
  try {
    return readFileSync(join(dataDir, 'postmaster.pid'), 'utf8').split('\n');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}
