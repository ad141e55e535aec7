import { Counter, type Registry } from 'prom-client';
import type { Deliver } from '../dispatcher/deliver.ts';
import { prefix } from './naming.ts';

/** The same delivery; each is counted by whether Temporal was told. */
export function measuredDeliver(deliver: Deliver, registry: Registry): Deliver {
  const deliveries = new Counter({
    name: `${prefix}deliveries_total`,
    help: 'Attempts to tell a workflow of a decision, by kind and outcome.',
    labelNames: ['kind', 'outcome'] as const,
    registers: [registry],
  });
  return async (decision) => {
    const delivered = await deliver(decision);
    deliveries.inc({ kind: decision.kind, outcome: delivered ? 'delivered' : 'failed' });
    return delivered;
  };
}
