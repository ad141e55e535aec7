import { closeSync, existsSync, mkdirSync, openSync, readFileSync, renameSync } from 'node:fs';
import { dirname } from 'node:path';

const TAIL_LINES = 15;

/** Begins a new log; the one of the run before is kept beside it. */
export function beginLog(file: string): void {
  mkdirSync(dirname(file), { recursive: true });
  if (existsSync(file)) renameSync(file, `${file}.previous`);
  closeSync(openSync(file, 'w', 0o600));
}

/** The last lines, indented, each cut to a readable width. */
export function tail(file: string): string {
  const lines = read(file).trimEnd().split('\n').slice(-TAIL_LINES);
  return lines.map((line) => `    ${line.slice(0, 300)}`).join('\n');
}

/** Everything from a position on, counted in characters. */
export function readFrom(file: string, position: number): string {
  return read(file).slice(position);
}

export function lengthOf(file: string): number {
  return read(file).length;
}

function read(file: string): string {
  return existsSync(file) ? readFileSync(file, 'utf8') : '';
}
