import { Counter, type Registry } from 'prom-client';
import { failureClasses, failureClassOf } from '../database/sqlstates.ts';
import { prefix } from './naming.ts';

export interface DatabaseFailures {
  /** Of a statement or a connection; what is no trouble of the database's is not counted. */
  count: (error: unknown) => void;
  register(registry: Registry): void;
}

/** Made before the database, whose registry shows it. */
export function createDatabaseFailures(): DatabaseFailures {
  const counter = new Counter({
    name: `${prefix}database_failures_total`,
    help: 'Statements and connections that the database failed, by class (src/database/sqlstates.ts).',
    labelNames: ['class'] as const,
    registers: [],
  });
  for (const each of failureClasses) counter.inc({ class: each }, 0);
  return {
    count(error) {
      const found = failureClassOf(error);
      if (found !== undefined) counter.inc({ class: found });
    },
    register: (registry) => registry.registerMetric(counter),
  };
}
