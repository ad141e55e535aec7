import { collectDefaultMetrics, Registry } from 'prom-client';
import type { Database } from '../database.ts';
import { readBacklog } from './backlog.ts';
import { registerBacklog } from './backlog-metrics.ts';
import { registerConnectionPool } from './connection-pool.ts';

/** A registry with what every process shows: Node's own figures, its connections, and what is still to be done. */
export function createRegistry(database: Database): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  registerConnectionPool(registry, async () => database.orm.em.getConnection().getNativeClient());
  registerBacklog(registry, async () => readBacklog(database));
  return registry;
}
