import { Counter, Histogram, type Registry } from 'prom-client';
import { prefix } from '../metrics/naming.ts';
import type { ObserveRequest } from './request-context.ts';

/** Requests by route and status, with their latency. The route is the documented path, so that no id becomes a label. */
export function createObserveRequest(registry: Registry): ObserveRequest {
  const histogram = new Histogram({
    name: 'http_request_duration_seconds',
    help: 'How long requests took to be answered; streams until their first byte.',
    labelNames: ['method', 'route', 'status'] as const,
    buckets: [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    registers: [registry],
  });
  // without labels, and so there from zero on: of a series that is born at one, Prometheus sees no increase
  const internalErrors = new Counter({
    name: `${prefix}internal_errors_total`,
    help: 'Requests that failed in a way that nobody foresaw.',
    registers: [registry],
  });
  return (labels, seconds) => {
    histogram.observe(labels, seconds);
    if (labels.status === 500) internalErrors.inc();
  };
}
