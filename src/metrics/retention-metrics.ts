import { Counter, type Registry } from 'prom-client';
import type { Removed } from '../retention/retention.ts';
import { prefix } from './naming.ts';

/** What retention took away, by kind of row. */
export function createCountRemoved(registry: Registry): (removed: Removed) => void {
  const counter = new Counter({
    name: `${prefix}retention_removed_rows_total`,
    help: 'Rows that retention removed or emptied, by kind.',
    labelNames: ['kind'] as const,
    registers: [registry],
  });
  return (removed) => {
    for (const [kind, count] of Object.entries(removed)) counter.inc({ kind }, count);
  };
}
