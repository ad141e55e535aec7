import { Histogram, type Registry } from 'prom-client';
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
  return (labels, seconds) => histogram.observe(labels, seconds);
}
