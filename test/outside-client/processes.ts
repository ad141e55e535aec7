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

/** Between npm and the service there may be a shell, which knows nothing of signals. */
function findInGroup(leader: ChildProcess, file: string): number | undefined {
  const processes = execFileSync('ps', ['-A', '-o', 'pid=,pgid=,args='], { encoding: 'utf8' });
  const found = processes
    .split('\n')
    .map((line) => /^\s*(\d+)\s+(\d+)\s+(\S+)\s+(.*)$/.exec(line))
    .find((match) => Number(match?.[2]) === leader.pid && match![3]!.endsWith('node') && match![4]!.includes(file));
  return found ? Number(found[1]) : undefined;
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
