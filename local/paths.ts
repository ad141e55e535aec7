import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const projectDirectory = resolve(fileURLToPath(new URL('..', import.meta.url)));

/** What outlives a run: databases, workflows, logs, secrets. Not part of the repository. */
export const dataDirectory = join(projectDirectory, '.data');

/** Where processes are written down, so that the next run finds those that a killed one left behind. */
export const recordDirectory = join(dataDirectory, 'run');
export const recordFile = (name: string): string => join(recordDirectory, `${name}.json`);
export const logFile = (name: string): string => join(dataDirectory, 'logs', `${name}.log`);
