import { join } from 'node:path';
import { z } from 'zod';
import { readJsonFile, writeJsonFile } from './json-file.ts';
import { dataDirectory } from './paths.ts';

/** What `npm start` tells other commands of the system that it runs. Holds tokens: readable by the owner only. */
const runningSystem = z.object({
  apiUrl: z.string(),
  authModuleUrl: z.string(),
  temporalUiUrl: z.string().nullable(),
  /** Of the reference Auth Module; null where another one is configured, of which nobody can be signed in here. */
  demo: z.object({ authModuleToken: z.string(), organization: z.string(), adminToken: z.string() }).nullable(),
});

export type RunningSystem = z.infer<typeof runningSystem>;

export const runningFile = join(dataDirectory, 'running.json');

export function readRunningSystem(): RunningSystem | undefined {
  return readJsonFile(runningFile, runningSystem);
}

export function writeRunningSystem(system: RunningSystem): void {
  writeJsonFile(runningFile, system);
}
