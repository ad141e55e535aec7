import { Gauge, type Registry } from 'prom-client';
import { prefix } from './naming.ts';

/** What `pg` tells of its pool. */
export interface PoolUse {
  totalCount: number;
  idleCount: number;
  waitingCount: number;
}

/** The connections of this process to PostgreSQL, and who waits for one. */
export function registerConnectionPool(registry: Registry, pool: () => Promise<PoolUse>): void {
  const gauge = new Gauge({
    name: `${prefix}database_pool_connections`,
    help: 'Connections to PostgreSQL by state; `waiting` are statements that wait for one.',
    labelNames: ['state'] as const,
    registers: [registry],
    async collect() {
      const use = await pool().catch(() => undefined);
      if (use === undefined) return;
      this.set({ state: 'busy' }, use.totalCount - use.idleCount);
      this.set({ state: 'idle' }, use.idleCount);
      this.set({ state: 'waiting' }, use.waitingCount);
    },
  });
  gauge.reset();
}
