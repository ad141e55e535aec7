import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** One figure beside its limit, from the same run. */
export interface Figure {
  measure: string;
  figure: string;
  value: number;
  unit: string;
  /** The target, as a sentence; null where there is none. */
  target: string | null;
  met: boolean | null;
}

export const figure = (
  measure: string,
  name: string,
  value: number,
  unit: string,
  target: string | null = null,
  met: boolean | null = null,
): Figure => ({ measure, figure: name, value: round(value), unit, target, met });

const round = (value: number) => (Math.abs(value) >= 100 ? Math.round(value) : Math.round(value * 100) / 100);

export const percentile = (samples: readonly number[], p: number): number =>
  samples.toSorted((a, b) => a - b)[Math.min(samples.length - 1, Math.floor((samples.length * p) / 100))] ?? Number.NaN;

/** Prints one table and writes the same as JSON, with the facts of the machine. */
export function publish(figures: readonly Figure[]): void {
  const machine = {
    node: process.version,
    platform: `${process.platform}-${process.arch}`,
    cpus: cpus().length,
    model: cpus()[0]?.model ?? 'unknown',
    memoryGiB: round(totalmem() / 2 ** 30),
  };
  const rows = figures.map((f) => [
    f.measure,
    f.figure,
    `${f.value} ${f.unit}`,
    f.target ?? '',
    f.met === null ? '' : f.met ? 'met' : 'MISSED',
  ]);
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const lines = rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  process.stdout.write(
    `\n${Object.entries(machine)
      .map(([key, value]) => `${key} ${value}`)
      .join(' · ')}\n\n${lines.join('\n')}\n`,
  );
  const directory = fileURLToPath(new URL('./results', import.meta.url));
  mkdirSync(directory, { recursive: true });
  const file = join(directory, `${new Date().toISOString().replaceAll(':', '-')}.json`);
  writeFileSync(file, `${JSON.stringify({ machine, figures }, null, 2)}\n`);
  process.stdout.write(`\nwritten to bench/results/${file.split('/').at(-1)}\n`);
}
