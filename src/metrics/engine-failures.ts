import { Counter, type Registry } from 'prom-client';
import type { EngineCall } from '../dispatcher/report-failures.ts';
import { prefix } from './naming.ts';

/** Counts what Temporal did not take. */
export function createCountEngineFailure(registry: Registry): (call: EngineCall, failureClass: string) => void {
  const failures = new Counter({
    name: `${prefix}workflow_engine_failures_total`,
    help: 'Calls that Temporal did not take, by what was to be done and by the class of the failure.',
    labelNames: ['call', 'class'] as const,
    registers: [registry],
  });
  return (call, failureClass) => failures.inc({ call, class: failureClass });
}
