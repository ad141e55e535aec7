/** The API and the worker as real processes, the way they are run in production, on a database and a task queue of their own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, inject } from 'vitest';
import { freePort } from '../../local/ports.ts';
import { type FaultyAuthModule, startFaultyAuthModule } from '../faulty-auth-module.ts';
import { eventually } from '../harness/client.ts';
import { cloneDatabase, type TestDatabase } from '../harness/database.ts';
import { type Issuer, startIssuer } from '../harness/issuer.ts';
import type { Stack } from '../harness/stack.ts';

export interface RunningProcess {
  /** Where it serves; the worker its metrics. */
  url: string;
  /** Everything it wrote, both streams. */
  lines: string[];
  child: ChildProcess;
  /** Sends SIGTERM; resolves with how it ended and how long that took. */
  terminate(): Promise<{ code: number | null; signal: string | null; ms: number }>;
}

/** What the harness' functions need to speak to an API that runs as a process. */
export const through = (processes: Processes, api: RunningProcess): Stack =>
  ({ url: api.url, issuer: processes.issuer, authModule: processes.authModule }) as Stack;

export interface Processes {
  environment: Record<string, string>;
  database: TestDatabase;
  issuer: Issuer;
  authModule: FaultyAuthModule;
  api(extra?: Record<string, string>): Promise<RunningProcess>;
  worker(extra?: Record<string, string>): Promise<RunningProcess>;
}

export function useProcesses(environment: Record<string, string> = {}): Processes {
  const processes = {} as Processes;
  const running: RunningProcess[] = [];
  beforeAll(async () => {
    const [database, issuer, authModule] = await Promise.all([cloneDatabase(), startIssuer(), startFaultyAuthModule()]);
    const base = {
      ...serviceEnvironment(database.url, issuer, authModule),
      ...environment,
    };
    const start = async (file: string, portVariable: string, isUp: string, extra: Record<string, string> = {}) => {
      const port = String(await freePort());
      const started = run(file, { ...base, [portVariable]: port, ...extra }, `http://127.0.0.1:${port}`);
      running.push(started);
      await eventually(() => answers(started, isUp), Boolean, 60_000);
      return started;
    };
    Object.assign(processes, { environment: base, database, issuer, authModule });
    processes.api = (extra) => start('src/api.ts', 'PORT', '/healthz', extra);
    processes.worker = (extra) =>
      start('test/operations/worker-process.ts', 'METRICS_PORT', '/readyz', {
        ...extra,
        WORKFLOW_BUNDLE_PATH: inject('workflowBundlePath'),
      });
  });
  afterAll(async () => {
    for (const { child } of running) child.kill('SIGKILL');
    await processes.database.drop();
    await Promise.all([processes.issuer.close(), processes.authModule.stop()]);
  });
  return processes;
}

export const serviceEnvironment = (
  databaseUrl: string,
  issuer: Issuer,
  authModule: FaultyAuthModule,
): Record<string, string> => ({
  HOST: '127.0.0.1',
  DATABASE_URL: databaseUrl,
  DATABASE_POOL_SIZE: '8',
  TEMPORAL_ADDRESS: inject('temporalAddress'),
  TEMPORAL_TASK_QUEUE: randomUUID(),
  AUTH_MODULE_URL: authModule.url,
  AUTH_MODULE_TOKEN: authModule.token,
  JWT_ISSUER: issuer.issuer,
  JWT_AUDIENCE: issuer.audience,
  JWKS_URL: issuer.jwksUrl,
  WRITES_PER_MINUTE: '0',
  SHUTDOWN_GRACE_SECONDS: '10',
});

async function answers(process: RunningProcess, path: string): Promise<boolean> {
  if (process.child.exitCode !== null) throw new Error(`it ended: ${process.lines.slice(-5).join('\n')}`);
  return fetch(process.url + path).then(
    (response) => response.ok,
    () => false,
  );
}

export function run(
  file: string,
  environment: Record<string, string>,
  url: string,
  args: readonly string[] = [],
): RunningProcess {
  const path = fileURLToPath(new URL(`../../${file}`, import.meta.url));
  const child = spawn(process.execPath, [path, ...args], {
    env: { PATH: process.env['PATH'], ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr])
    createInterface({ input: stream }).on('line', (line) => lines.push(line));
  return {
    url,
    lines,
    child,
    async terminate() {
      const began = performance.now();
      const ended = once(child, 'exit') as Promise<[number | null, string | null]>;
      child.kill('SIGTERM');
      const [code, signal] = await ended;
      return { code, signal, ms: performance.now() - began };
    },
  };
}
