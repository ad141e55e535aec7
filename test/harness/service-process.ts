import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { inject, onTestFinished } from 'vitest';
import { eventually } from './client.ts';

export interface ServiceProcess {
  child: ChildProcess;
  /** What it has logged so far. */
  output(): string;
  /** As if the machine had lost it. */
  kill9(): Promise<void>;
}

type ServiceFile = 'api.ts' | 'worker.ts';
/** The worker's takes the bundle that the run has made once: it starts in half the time. */
const files = { 'api.ts': '../../src/api.ts', 'worker.ts': '../operations/worker-process.ts' };

/** `src/api.ts` or `src/worker.ts` as a process of its own, ready; it does not outlive the test. */
export async function startProcess(file: ServiceFile, environment: Record<string, string>): Promise<ServiceProcess> {
  const started = await launchProcess(file, environment);
  onTestFinished(started.kill9);
  return started;
}

/** The same, for as long as the caller wants: who launches it has to kill it. */
export async function launchProcess(file: ServiceFile, environment: Record<string, string>): Promise<ServiceProcess> {
  const path = fileURLToPath(new URL(files[file], import.meta.url));
  const variables = { ...environment, LOG_LEVEL: 'info', WORKFLOW_BUNDLE_PATH: inject('workflowBundlePath') };
  const child = spawn(process.execPath, [path], {
    env: { PATH: process.env['PATH'] ?? '', ...variables },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = once(child, 'exit');
  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => lines.push(data.toString()));
  const kill9 = async () => {
    child.kill('SIGKILL');
    await exited;
  };
  const output = () => lines.join('');
  const isReady = () => output().includes(file === 'api.ts' ? 'api ready' : 'worker ready') || child.exitCode !== null;
  try {
    await eventually(() => Promise.resolve(isReady()), Boolean, 60_000);
    if (child.exitCode !== null) throw new Error(`${file} ended at once: ${output()}`);
  } catch (error) {
    await kill9();
    throw error;
  }
  return { child, output, kill9 };
}
