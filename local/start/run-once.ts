import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { Problem } from '../problem.ts';
import { beginLog, tail } from './log-file.ts';
import { logFile, projectDirectory } from '../paths.ts';

/** Runs a TypeScript file to its end. Fails with its last words unless it ends well. */
export async function runOnce(name: string, file: string, environment: Record<string, string>): Promise<void> {
  const log = logFile(name);
  beginLog(log);
  const output = openSync(log, 'a', 0o600);
  const child = spawn(process.execPath, [join(projectDirectory, file)], {
    cwd: projectDirectory,
    env: { ...process.env, ...environment },
    detached: true, // a Ctrl-C waits until it is done: a migration is not cut in two
    stdio: ['ignore', output, output],
  });
  closeSync(output);
  const how = await new Promise<string>((done) => {
    child.once('error', (error) => done(error.message));
    child.once('exit', (code, signal) => done(signal ?? String(code)));
  });
  if (how !== '0') throw new Problem(`The ${name} failed (${how}):\n${tail(log)}`);
}
