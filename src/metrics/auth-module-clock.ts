import { Gauge, type Registry } from 'prom-client';
import { prefix } from './naming.ts';

/** What the last delivery of session events said of the Auth Module's clock. Behind looks the same as late delivery. */
export function createObserveClock(registry: Registry): (differenceMs: number) => void {
  const gauge = new Gauge({
    name: `${prefix}auth_module_clock_difference_seconds`,
    help: 'The clock of the Auth Module at its last delivery against ours: positive is ahead, negative is behind or late.',
    registers: [registry],
  });
  gauge.remove();
  return (differenceMs) => gauge.set(differenceMs / 1_000);
}
