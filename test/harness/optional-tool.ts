import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { describe } from 'vitest';

/** The path of a program that not every machine has; undefined, and one line that says so, where it is missing. */
export function findTool(name: string, ...places: string[]): string | undefined {
  const directories = [...(process.env['PATH'] ?? '').split(delimiter), ...places];
  const found = directories.map((directory) => join(directory, name)).find((path) => existsSync(path));
  if (found === undefined) process.stdout.write(`skipped: ${name} is not installed\n`);
  return found;
}

/** `describe`, where the tool is there. */
export const describeWith = (tool: string | undefined) => describe.skipIf(tool === undefined);
