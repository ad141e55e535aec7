import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { forgetProcess, recordProcess } from '../process-record.ts';
import { Problem } from '../problem.ts';
import { identify, stopProcess } from '../processes.ts';
import { lengthOf, tail } from './log-file.ts';
import { atSentenceStart, type Part, type Raised } from './part.ts';
import { logFile, projectDirectory, recordFile } from '../paths.ts';

export interface NodeProcessOptions {
  /** Of its log and its record. */
  name: string;
  title: string;
  /** The TypeScript file, from the project's directory. */
  file: string;
  environment: Record<string, string>;
  /** Whether it is ready now; asked again and again. `logStart` is where this run's messages begin in its log. */
  isReady(logStart: number): Promise<boolean>;
  /** Longer than it grants itself, else it is cut off in the middle. */
  graceMs: number;
}

const READY_WITHIN_MS = 90_000;
const ASK_EVERY_MS = 100;

/**
 * One of our own processes, in a process group of its own, so that the terminal's Ctrl-C reaches only the supervisor,
 * which ends them in order. It writes to a file, so that it can outlive a killed supervisor without a broken pipe.
 */
export function nodeProcess(options: NodeProcessOptions): Part {
  const { name, title } = options;
  return { title, logFile: logFile(name), raise: (signal) => raise(options, signal) };
}

async function raise(options: NodeProcessOptions, signal: AbortSignal): Promise<Raised> {
  const log = logFile(options.name);
  const logStart = lengthOf(log);
  const child = launch(options, log);
  const ended = new Promise<string>((done) => {
    child.once('error', (error) => done(error.message));
    child.once('exit', (code, by) => done(by ?? `exit code ${code}`));
  });
  const raised = describe(options, child, ended);
  let over: string | undefined;
  void ended.then((how) => (over = how));
  const deadline = Date.now() + READY_WITHIN_MS;
  while (!(await options.isReady(logStart).catch(() => false))) {
    if (over !== undefined) {
      forgetProcess(recordFile(options.name));
      throw new Problem(`${atSentenceStart(options.title)} ended (${over}) before it was ready:\n${tail(log)}`);
    }
    if (signal.aborted || Date.now() > deadline) {
      await raised.stop();
      signal.throwIfAborted();
      throw new Problem(
        `${atSentenceStart(options.title)} was not ready after ${READY_WITHIN_MS / 1000} s:\n${tail(log)}`,
      );
    }
    await new Promise((done) => setTimeout(done, ASK_EVERY_MS));
  }
  return raised;
}

function launch({ name, file, environment }: NodeProcessOptions, log: string): ChildProcess {
  const output = openSync(log, 'a', 0o600);
  const child = spawn(process.execPath, [join(projectDirectory, file)], {
    cwd: projectDirectory,
    env: { ...process.env, ...environment },
    detached: true,
    stdio: ['ignore', output, output],
  });
  closeSync(output);
  if (child.pid !== undefined) recordProcess(recordFile(name), child.pid, file);
  return child;
}

function describe({ name, graceMs }: NodeProcessOptions, child: ChildProcess, ended: Promise<string>): Raised {
  const identity = child.pid === undefined ? undefined : identify(child.pid);
  const kill = (): void => {
    if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
  };
  const stop = async (): Promise<void> => {
    if (identity) await stopProcess(identity, { graceMs });
    forgetProcess(recordFile(name));
  };
  return { ended, stop, kill };
}
