import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Problem } from '../problem.ts';
import { serverAccount } from './account.ts';
import { disownPidFile, findPostmaster, type Postmaster } from './postmaster.ts';

export interface ServerOptions {
  postgres: string;
  dataDir: string;
  port: number;
  settings: Record<string, string>;
  environment: Record<string, string>;
}

/** A killed server's memory stays attached until its last backend notices: when its statement is done. */
const TRANSIENT = /pre-existing shared memory block|lock file "postmaster.pid" already exists/;
const ATTEMPTS = 240;
const RETRY_DELAY_MS = 250;

/** Starts the server and answers when it accepts connections. What it says is in `<dataDir>.log`. */
export async function startServer(options: ServerOptions): Promise<Postmaster> {
  for (let attempt = 1; ; attempt++) {
    disownPidFile(options.dataDir);
    const failure = await startOnce(options);
    if (typeof failure !== 'string') return failure;
    if (!TRANSIENT.test(failure) || attempt === ATTEMPTS) {
      throw new Problem(`PostgreSQL did not start:\n${failure.trimEnd()}`);
    }
    await sleep(RETRY_DELAY_MS);
  }
}

/** The running server, or what it said before it ended. */
async function startOnce({
  postgres,
  dataDir,
  port,
  settings,
  environment,
}: ServerOptions): Promise<Postmaster | string> {
  const logFile = `${dataDir}.log`;
  const log = openSync(logFile, 'w', 0o600);
  const all = { listen_addresses: '127.0.0.1', unix_socket_directories: '', ...settings };
  const args = ['-D', dataDir, '-p', String(port), ...Object.entries(all).flatMap(([k, v]) => ['-c', `${k}=${v}`])];
  // Detached: the terminal's Ctrl-C must not end the database before those who use it have finished.
  // Its messages go to a file, so that it outlives us without a broken pipe.
  const child = spawn(postgres, args, {
    ...serverAccount,
    env: { ...process.env, ...environment },
    cwd: '/',
    detached: true,
    stdio: ['ignore', 'ignore', log],
  });
  closeSync(log);
  let ended: string | undefined;
  child.once('error', (error) => (ended = error.message));
  child.once('exit', (code, signal) => (ended ??= `it ended with ${signal ?? `exit code ${code}`}`));
  for (;;) {
    if (ended !== undefined) return `${readFileSync(logFile, 'utf8').slice(-4000)}${ended}`;
    const found = findPostmaster(dataDir);
    if (found?.ready && found.identity.pid === child.pid) {
      child.unref();
      return found;
    }
    await sleep(10);
  }
}
