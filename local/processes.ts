import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { errorCode } from './error-code.ts';

/** A process that cannot be mistaken for another one which got the same id later: ids are reused, start times are not. */
export const processIdentity = z.object({ pid: z.number(), started: z.string() });
export type ProcessIdentity = z.infer<typeof processIdentity>;

/** Who has this id now; undefined if nobody (a zombie, which has ended and only waits to be counted, is nobody). */
export function identify(pid: number): ProcessIdentity | undefined {
  if (!Number.isInteger(pid) || pid <= 0) return undefined;
  const started = process.platform === 'linux' ? startTimeFromProc(pid) : startTimeFromPs(pid);
  return started === undefined ? undefined : { pid, started };
}

/** Whether that very process still runs. */
export function isAlive(identity: ProcessIdentity): boolean {
  return identify(identity.pid)?.started === identity.started;
}

/** Its command line, arguments separated by blanks; empty where it cannot be read. */
export function commandLine(pid: number): string {
  try {
    if (process.platform === 'linux') return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
    return ps(pid, 'command=');
  } catch {
    return '';
  }
}

export interface StopOptions {
  signal?: NodeJS.Signals;
  /** After this time it is killed. */
  graceMs?: number;
  /** Whether the whole process group that it leads is meant. */
  group?: boolean;
}

/** Afterwards the process does not run. A process that ended meanwhile, or another one with its id, is left alone. */
export async function stopProcess(identity: ProcessIdentity, options: StopOptions = {}): Promise<void> {
  const { signal = 'SIGTERM', graceMs = 10_000, group = false } = options;
  if (!isAlive(identity)) return;
  send(identity.pid, signal, group);
  if (await endsWithin(identity, graceMs)) return;
  send(identity.pid, 'SIGKILL', group);
  await endsWithin(identity, 5_000);
}

/** Whether it has ended within the time. Polled, for it need not be a child of ours. */
export async function endsWithin(identity: ProcessIdentity, timeoutMs: number, lookEveryMs = 20): Promise<boolean> {
  const deadline = Date.now() + timeoutMs;
  while (isAlive(identity)) {
    if (Date.now() > deadline) return false;
    await sleep(lookEveryMs);
  }
  return true;
}

function send(pid: number, signal: NodeJS.Signals, group: boolean): void {
  try {
    process.kill(group ? -pid : pid, signal);
  } catch (error) {
    if (errorCode(error) !== 'ESRCH') throw error;
  }
}

function startTimeFromProc(pid: number): string | undefined {
  try {
    // The name, second field, may hold blanks and parentheses; state is the 1st, start time the 20th after it.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

function startTimeFromPs(pid: number): string | undefined {
  try {
    return ps(pid, 'stat=').startsWith('Z') ? undefined : ps(pid, 'lstart=');
  } catch {
    return undefined;
  }
}

function ps(pid: number, column: string): string {
  return execFileSync('ps', ['-o', column, '-p', String(pid)], { encoding: 'utf8' }).trim();
}
