import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { eventually } from './client.ts';

export interface ServiceProcess {
  child: ChildProcess;
  /** What it has logged so far. */
  output(): string;
  /** As if the machine had lost it. */
  kill9(): Promise<void>;
}

/** `src/api.ts` or `src/worker.ts` as a process of its own, ready; it does not outlive the test. */
export async function startProcess(
  file: 'api.ts' | 'worker.ts',
  environment: Record<string, string>,
): Promise<ServiceProcess> {
  const path = fileURLToPath(new URL(`../../src/${file}`, import.meta.url));
  const child = spawn(process.execPath, [path], {
    env: { PATH: process.env['PATH'] ?? '', ...environment, LOG_LEVEL: 'info' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = once(child, 'exit');
  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => lines.push(data.toString()));
  const kill9 = async () => {
    child.kill('SIGKILL');
    await exited;
  };
  onTestFinished(kill9);
  const output = () => lines.join('');
  const isReady = (text: string) =>
    text.includes(file === 'api.ts' ? 'api ready' : 'worker ready') || child.exitCode !== null;
  await eventually(() => Promise.resolve(output()), isReady, 60_000);
  if (child.exitCode !== null) throw new Error(`${file} ended at once: ${output()}`);
  return { child, output, kill9 };
}
