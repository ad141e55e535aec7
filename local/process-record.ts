import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { readJsonFile, writeJsonFile } from './json-file.ts';
import { commandLine, identify, isAlive, processIdentity, stopProcess } from './processes.ts';

/** What is written down of a process that was started, so that it is found again when its owner was killed. */
const processRecord = z.object({
  process: processIdentity,
  owner: processIdentity,
  /** A word that its command line holds; what does not hold it is never stopped. */
  mark: z.string(),
});

/** Writes down that this process owns `pid`. */
export function recordProcess(file: string, pid: number, mark: string): void {
  const child = identify(pid);
  const owner = identify(process.pid);
  if (!child || !owner) return; // it has ended already
  mkdirSync(dirname(file), { recursive: true });
  writeJsonFile(file, { process: child, owner, mark } satisfies z.infer<typeof processRecord>);
}

export function forgetProcess(file: string): void {
  rmSync(file, { force: true });
}

/**
 * Stops what a killed owner left running, with its process group, and says whether there was anything.
 * Never touches a process whose owner lives, nor one that merely has the recorded id or another command line.
 */
export async function stopLeftover(file: string): Promise<boolean> {
  const record = readJsonFile(file, processRecord);
  if (!record) return false;
  if (isAlive(record.owner) && record.owner.pid !== process.pid) return false;
  const running = isAlive(record.process) && commandLine(record.process.pid).includes(record.mark);
  if (running) await stopProcess(record.process, { group: true });
  forgetProcess(file);
  return running;
}

/** The same for every record in a directory. */
export async function stopLeftoversIn(directory: string): Promise<void> {
  const records = existsSync(directory) ? readdirSync(directory).filter((name) => name.endsWith('.json')) : [];
  await Promise.all(records.map((name) => stopLeftover(join(directory, name))));
}
