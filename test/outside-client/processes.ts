import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const project = fileURLToPath(new URL('../..', import.meta.url));

export type Script = 'migrate' | 'api' | 'worker';
export type Environment = Record<string, string>;

export interface Ended {
  code: number | null;
  output: string;
}

export interface Running {
  /** All it has printed so far. */
  output(): string;
  isRunning(): boolean;
  /** Whether any process of its group is left, whoever started it. */
  isLeft(): boolean;
  /** SIGTERM to the service's own process, whose exit code npm hands on. What outlives ten seconds is killed. */
  stop(): Promise<Ended>;
  /** SIGTERM to npm, as to the process that one has started oneself. */
  stopNpm(): Promise<Ended>;
  ended: Promise<Ended>;
}

/**
 * `npm run <script>` in a process group of its own, with nothing in its environment but what is given: the service is
 * configured by documented names alone, or it does not start.
 */
export function npmRun(script: Script, environment: Environment, args: readonly string[] = []): Running {
  const child = spawn('npm', ['run', '--silent', script, '--', ...args], {
    cwd: project,
    env: { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '', ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => (output += data.toString()));
  // `close` and not `exit`: npm may be gone before the process it stands for has said its last word
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, output }));
  const isRunning = () => child.exitCode === null && child.signalCode === null;
  const abandon = () => {
    if (isGroupLeft(child)) signal(-child.pid!, 'SIGKILL');
  };
  process.once('exit', abandon);
  void ended.finally(() => process.off('exit', abandon));
  const stopAt = async (pid: number | undefined) => {
    if (pid !== undefined) signal(pid, 'SIGTERM');
    const deadline = setTimeout(abandon, 10_000);
    const result = await ended;
    clearTimeout(deadline);
    return result;
  };
  return {
    output: () => output,
    isRunning,
    isLeft: () => isGroupLeft(child),
    stop: () => stopAt(isRunning() ? findInGroup(child, `src/${script}.ts`) : undefined),
    stopNpm: () => stopAt(child.pid),
    ended,
  };
}

/** Between npm and the service there may be a shell, which knows nothing of signals, and a Node that only started the right one. */
function findInGroup(leader: ChildProcess, file: string): number | undefined {
  const processes = execFileSync('ps', ['-A', '-ww', '-o', 'pid=,pgid=,args='], { encoding: 'utf8' });
  for (const line of processes.split('\n')) {
    const [, pid, group, command = ''] = /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line) ?? [];
    // the command may have spaces anywhere: a project may lie in `my projects`
    if (Number(group) === leader.pid && command.includes(file) && !/^\S*sh -c|local\/run\.mjs/.test(command))
      return Number(pid);
  }
  return undefined;
}

const isGroupLeft = ({ pid }: ChildProcess) => pid !== undefined && signal(-pid, 0);

/** Answers whether there was anybody to hear it. */
function signal(pid: number, name: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    return false;
  }
}
