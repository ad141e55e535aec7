import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { tryLock, unlock } from '../file-lock.ts';
import { stopLeftover } from '../process-record.ts';
import { Problem } from '../problem.ts';
import { runningFile } from '../running-file.ts';
import type { Say } from '../say.ts';
import { dataDirectory, recordFile } from '../paths.ts';

const lockFile = join(dataDirectory, 'start.lock');

/** One system in a checkout: its data has one owner. A lock whose holder was killed is taken over. */
export function becomeTheOnlyOne(): void {
  mkdirSync(dataDirectory, { recursive: true });
  const holder = tryLock(lockFile);
  if (holder) throw new Problem(`npm start already runs in this checkout (process ${holder.pid}). Stop it first.`);
}

export function resign(): void {
  rmSync(runningFile, { force: true });
  unlock(lockFile);
}

/** Stops what a killed run left behind, in the order of an orderly end. PostgreSQL is adopted as it is. */
export async function stopLeftovers(say: Say): Promise<void> {
  for (const name of ['api', 'worker', 'auth-module', 'temporal']) {
    if (await stopLeftover(recordFile(name))) say(`Stopped a process that an earlier run left behind: ${name}.`);
  }
}
