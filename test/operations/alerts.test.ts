import { readFileSync } from 'node:fs';
import type { Registry } from 'prom-client';
import { expect, it } from 'vitest';
import { createObserveRequest } from '../../src/api/metrics.ts';
import { measuredAuthModule } from '../../src/metrics/auth-module-calls.ts';
import { createObserveClock } from '../../src/metrics/auth-module-clock.ts';
import { createShowClock } from '../../src/metrics/database-clock.ts';
import { createDatabaseFailures } from '../../src/metrics/database-failures.ts';
import { createRegistry } from '../../src/metrics/create-registry.ts';
import { measuredDeliver } from '../../src/metrics/deliveries.ts';
import { createCountEngineFailure } from '../../src/metrics/engine-failures.ts';
import { createCountFound } from '../../src/metrics/found-chains.ts';
import { registerSigningKeys } from '../../src/metrics/signing-keys.ts';
import { createCountRemoved } from '../../src/metrics/retention-metrics.ts';
import { watchedActivities } from '../../src/metrics/rows-gone.ts';

const file = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
const alerts = file('ops/alerts.yml');
const dashboard = file('ops/grafana-dashboard.json');
const runbook = file('docs/runbook.md');
const matches = (text: string, pattern: RegExp) => [...text.matchAll(pattern)].map((match) => match[1] ?? '');

/** Every metric that an API or a worker of ours can show. */
async function shown(): Promise<string[]> {
  const registry: Registry = createRegistry({} as never);
  createObserveRequest(registry);
  createObserveClock(registry);
  createShowClock(registry);
  createDatabaseFailures().register(registry);
  createCountFound(registry);
  registerSigningKeys(registry, () => []);
  createCountEngineFailure(registry);
  createCountRemoved(registry);
  measuredAuthModule({} as never, registry);
  measuredDeliver(() => Promise.resolve(true), registry);
  watchedActivities({} as never, registry);
  const metrics = await registry.getMetricsAsJSON();
  return metrics.flatMap(({ name, type }) =>
    String(type) === 'histogram' ? [`${name}_bucket`, `${name}_count`] : [name],
  );
}

it('alerts and dashboard ask for metrics that exist', async () => {
  const names = await shown();
  const asked = [...new Set(matches(alerts + dashboard, /\b((?:session_management|http|nodejs|process)_[a-z0-9_]+)/g))];
  expect(asked.length).toBeGreaterThan(25);
  for (const name of asked) expect(names).toContain(name);
});

it('every figure of what is still to be done is on the dashboard or alerts somebody', async () => {
  for (const name of (await shown()).filter(
    (each) => each.startsWith('session_management_') && !each.endsWith('_count'),
  ))
    expect(alerts + dashboard).toContain(name);
});

it('every alert has its chapter in the runbook, and every chapter of an alert its alert', () => {
  const named = matches(alerts, /- alert: (\w+)/g);
  expect(matches(alerts, /runbook: docs\/runbook\.md#(\w+)/g)).toEqual(named.map((name) => name.toLowerCase()));
  expect(matches(runbook, /^### ([A-Z]\w+)$/gm).toSorted()).toEqual(named.toSorted());
});
