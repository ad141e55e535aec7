import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inject } from 'vitest';
import { freePort } from '../../local/ports.ts';
import { identify } from '../../local/processes.ts';
import { eventually } from '../harness/client.ts';

const project = fileURLToPath(new URL('../..', import.meta.url));
const needed = ['local', 'src', 'migrations', 'reference-auth-module', 'console', 'package.json', 'package-lock.json'];

export const portVariables = [
  'PORT',
  'POSTGRES_PORT',
  'TEMPORAL_PORT',
  'TEMPORAL_UI_PORT',
  'REFERENCE_AUTH_MODULE_PORT',
] as const;

export interface Run {
  said(): string;
  /** Resolves with the exit code. */
  ended: Promise<number | null>;
  /** Once the whole system is up. */
  ready(): Promise<void>;
  /** Ctrl-C. */
  stop(): Promise<number | null>;
  /** As if the machine had lost the starter alone; what it has started lives on. */
  kill9(): Promise<void>;
}

export interface Checkout {
  directory: string;
  environment: Record<string, string>;
  start(environment?: Record<string, string>): Run;
  /** Ends every process that runs in this checkout, at one blow. */
  killAll(): Promise<void>;
  remove(): void;
}

/** A checkout of its own, with data and ports of its own, in which `npm start` can be tried. */
export async function makeCheckout(): Promise<Checkout> {
  const directory = mkdtempSync(join(tmpdir(), 'session-management-checkout-'));
  chmodSync(directory, 0o755);
  const present = readdirSync(project);
  for (const name of needed.filter((each) => present.includes(each)))
    cpSync(join(project, name), join(directory, name), { recursive: true });
  symlinkSync(join(project, 'node_modules'), join(directory, 'node_modules'));
  const ports: Record<string, string> = {};
  for (const variable of portVariables) ports[variable] = String(await freePort());
  const environment = {
    PATH: process.env['PATH'] ?? '',
    HOME: process.env['HOME'] ?? '',
    TEMPORAL_CLI_PATH: inject('temporalCli'),
    ...ports,
  };
  return {
    directory,
    environment,
    start: (extra = {}) => run(directory, { ...environment, ...extra }),
    async killAll() {
      for (const pid of processesIn(directory)) kill(pid);
      await eventually(
        () => Promise.resolve(processesIn(directory)),
        (left) => left.length === 0,
      );
    },
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}

function run(directory: string, environment: Record<string, string>): Run {
  const child = spawn(process.execPath, [join(directory, 'local/start.ts')], {
    cwd: directory,
    env: environment,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output = collect(child);
  const ended = once(child, 'exit').then(([code]) => code as number | null);
  return {
    said: output,
    ended,
    async ready() {
      const isUp = () => output().includes('Ctrl-C') || child.exitCode !== null;
      await eventually(() => Promise.resolve(isUp()), Boolean, 120_000);
      if (child.exitCode !== null) throw new Error(`npm start ended: ${output()}`);
    },
    async stop() {
      child.kill('SIGINT');
      return ended;
    },
    async kill9() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

function collect(child: ChildProcess): () => string {
  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (data: Buffer) => lines.push(data.toString()));
  return () => lines.join('');
}

/** By what their command lines name: each of them has a file of the checkout there. */
function processesIn(directory: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => commandOf(pid).includes(`${directory}/`));
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

function kill(pid: number): void {
  if (identify(pid) === undefined) return;
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // it has ended meanwhile
  }
}
