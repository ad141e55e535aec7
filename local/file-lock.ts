import { existsSync, linkSync, mkdirSync, renameSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { errorCode } from './error-code.ts';
import { readJsonFile } from './json-file.ts';
import { identify, isAlive, type ProcessIdentity, processIdentity } from './processes.ts';

/**
 * Runs `work` while no other process holds the same lock file; a lock whose holder has died is taken over.
 * `onWait` is told once who is waited for.
 */
export async function withFileLock<T>(
  file: string,
  work: () => Promise<T>,
  onWait?: (holder: ProcessIdentity) => void,
): Promise<T> {
  mkdirSync(dirname(file), { recursive: true });
  let told = false;
  for (;;) {
    const holder = tryLock(file);
    if (!holder) break;
    if (!told) onWait?.(holder);
    told = true;
    await sleep(50);
  }
  try {
    return await work();
  } finally {
    unlock(file);
  }
}

/** Takes the lock and answers undefined, or answers who holds it. */
export function tryLock(file: string): ProcessIdentity | undefined {
  const me = identify(process.pid);
  if (!me) throw new Error('this process cannot be found in the process table');
  // Written aside and linked: whoever sees the lock sees its holder too, and linking onto an existing name fails.
  const own = `${file}.${process.pid}`;
  writeFileSync(own, JSON.stringify(me), { mode: 0o600 });
  try {
    for (;;) {
      try {
        linkSync(own, file);
        return undefined;
      } catch (error) {
        if (errorCode(error) !== 'EEXIST') throw error;
      }
      const holder = holderOf(file);
      if (holder && isAlive(holder)) return holder;
      if (holder) discard(file, holder);
    }
  } finally {
    rmSync(own, { force: true });
  }
}

export function unlock(file: string): void {
  rmSync(file, { force: true });
}

function holderOf(file: string): ProcessIdentity | undefined {
  if (!existsSync(file)) return undefined;
  return readJsonFile(file, processIdentity) ?? { pid: 0, started: '' }; // not written by tryLock: nobody's
}

/** Removes a dead holder's lock, and only that: between looking and removing another process may have taken it. */
function discard(file: string, dead: ProcessIdentity): void {
  const aside = `${file}.${process.pid}.dead`;
  try {
    renameSync(file, aside);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return;
    throw error;
  }
  const taken = holderOf(aside);
  try {
    if (taken && (taken.pid !== dead.pid || taken.started !== dead.started)) linkSync(aside, file);
  } finally {
    unlinkSync(aside);
  }
}
