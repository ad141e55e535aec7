import { Counter, Gauge, type Registry } from 'prom-client';
import { LONGEST_LEAD_MS } from '../service/auth-module-clock.ts';
import { prefix } from './naming.ts';

/** What the last delivery said is news for so long; after that nothing is known. */
const NEWS_MS = 600_000;

/** What the last delivery of session events said of the Auth Module's clock. Behind looks the same as late delivery. */
export function createObserveClock(registry: Registry): (differenceMs: number) => void {
  let observedAt = -Infinity;
  const gauge = new Gauge({
    name: `${prefix}auth_module_clock_difference_seconds`,
    help: 'The clock of the Auth Module at its last delivery within 10 minutes against ours: positive is ahead, negative is behind or late.',
    registers: [registry],
    collect() {
      if (performance.now() - observedAt > NEWS_MS) this.remove();
    },
  });
  const refused = new Counter({
    name: `${prefix}auth_module_clock_refused_total`,
    help: 'Deliveries whose clock was more than 5 minutes ahead; nothing was shifted by it.',
    registers: [registry],
  });
  return (differenceMs) => {
    observedAt = performance.now();
    gauge.set(differenceMs / 1_000);
    if (differenceMs > LONGEST_LEAD_MS) refused.inc();
  };
}
