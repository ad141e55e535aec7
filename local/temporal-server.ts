import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Connection } from '@temporalio/client';
import { recordDirectory, recordFile } from './paths.ts';
import { isFree } from './ports.ts';
import { forgetProcess, recordProcess, stopLeftover, stopLeftoversIn } from './process-record.ts';
import { Problem } from './problem.ts';
import { endsWithin, identify, isAlive, type ProcessIdentity, stopProcess } from './processes.ts';

export interface TemporalOptions {
  /** The program, from findTemporalCli. */
  cli: string;
  port: number;
  /** The web UI's; without it there is none. */
  uiPort?: number;
  /** Where workflows are kept; without it in memory, gone with the process. */
  dbFile?: string;
  namespace: string;
  /** Where the process is written down, so that a later start finds it if we are killed. Default: one in `.data/run`. */
  pidFile?: string;
  /** Where the server's messages go; without it they are dropped. */
  logFile?: string;
  /** Further arguments of `temporal server start-dev`, such as `--dynamic-config-value`, `key=value`. */
  extraArgs?: readonly string[];
}

export interface Temporal {
  address: string;
  uiUrl: string | undefined;
  pid: number;
  identity: ProcessIdentity;
  /** Answers when the process has ended. */
  stop(): Promise<void>;
}

const READY_WITHIN_MS = 60_000;

/**
 * A Temporal dev server whose namespace answers. With `dbFile` its workflows survive stop and kill -9. Servers that
 * killed starters left behind are stopped first; one whose starter lives is never touched.
 */
export async function startTemporal(options: TemporalOptions): Promise<Temporal> {
  const { port, uiPort, pidFile = recordFile(`temporal-${process.pid}-${port}`) } = options;
  await stopLeftover(pidFile);
  await stopLeftoversIn(recordDirectory);
  // Else the server that has the port would answer for ours.
  if (!(await isFree(port))) throw new Problem(`The Temporal server cannot start: port ${port} is taken.`);
  const identity = launch(options);
  recordProcess(pidFile, identity.pid, 'start-dev');
  // Detached, it would outlive an uncaught error of ours.
  const killWithUs = (): void => void (isAlive(identity) && process.kill(identity.pid, 'SIGTERM'));
  process.once('exit', killWithUs);
  const stop = async (): Promise<void> => {
    // Nothing to save, nothing to wait for.
    await stopProcess(identity, { signal: options.dbFile ? 'SIGTERM' : 'SIGKILL' });
    process.off('exit', killWithUs);
    forgetProcess(pidFile);
  };
  const address = `127.0.0.1:${port}`;
  try {
    await answers(address, options, identity);
  } catch (error) {
    await stop();
    throw error;
  }
  return { address, uiUrl: uiPort ? `http://127.0.0.1:${uiPort}` : undefined, pid: identity.pid, identity, stop };
}

function launch(options: TemporalOptions): ProcessIdentity {
  const log = options.logFile === undefined ? 'ignore' : openLog(options.logFile);
  // Detached: the terminal's Ctrl-C must not end it before the workers have drained.
  const child = spawn(options.cli, serverArguments(options), { detached: true, stdio: ['ignore', log, log] });
  child.once('error', () => {}); // shows as a process without an id, below
  if (log !== 'ignore') closeSync(log);
  const identity = child.pid === undefined ? undefined : identify(child.pid);
  if (!identity) throw new Problem(`The Temporal server could not be run: ${options.cli}`);
  child.unref();
  return identity;
}

function openLog(file: string): number {
  mkdirSync(dirname(file), { recursive: true });
  return openSync(file, 'a', 0o600);
}

function serverArguments({ port, uiPort, dbFile, namespace, extraArgs = [] }: TemporalOptions): string[] {
  // The two pragmas triple the rate of a file database; a killed process loses nothing by them, a power cut might.
  const pragmas = ['--sqlite-pragma', 'journal_mode=wal', '--sqlite-pragma', 'synchronous=off'];
  return [
    'server',
    'start-dev',
    ...Object.entries({ ip: '127.0.0.1', port, namespace, 'log-level': 'error' }).flatMap(flag),
    ...(uiPort ? ['--ui-port', String(uiPort), '--ui-disable-news-fetch'] : ['--headless']),
    ...(dbFile ? ['--db-filename', dbFile, ...pragmas] : []),
    ...extraArgs,
  ];
}

function flag([name, value]: [string, string | number]): string[] {
  return [`--${name}`, String(value)];
}

/** Waits for the namespace, not for the port, which opens sooner. */
async function answers(address: string, options: TemporalOptions, identity: ProcessIdentity): Promise<void> {
  const connection = Connection.lazy({ address });
  const { namespace } = options;
  const deadline = Date.now() + READY_WITHIN_MS;
  try {
    for (;;) {
      if (await endsWithin(identity, 0)) throw new Problem(`The Temporal server ended at once. ${lastWords(options)}`);
      if (Date.now() > deadline) throw new Problem(`The Temporal server does not answer. ${lastWords(options)}`);
      try {
        const ask = () => connection.workflowService.describeNamespace({ namespace });
        await connection.withDeadline(Date.now() + 300, ask);
        return;
      } catch {
        await sleep(25);
      }
    }
  } finally {
    await connection.close();
  }
}

function lastWords({ logFile }: TemporalOptions): string {
  return logFile === undefined ? '' : `It said:\n${readFileSync(logFile, 'utf8').trimEnd().slice(-2000)}`;
}
