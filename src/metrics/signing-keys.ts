import { Gauge, type Registry } from 'prom-client';
import { prefix } from './naming.ts';

/** How old the keys are that tokens are verified with, by issuer. */
export function registerSigningKeys(
  registry: Registry,
  ages: () => readonly { issuer: string; ageSeconds: number }[],
): void {
  const gauge = new Gauge({
    name: `${prefix}signing_keys_age_seconds`,
    help: 'Since the signing keys of an issuer were last fetched; since the start where they never were.',
    labelNames: ['issuer'] as const,
    registers: [],
    collect() {
      for (const { issuer, ageSeconds } of ages()) this.set({ issuer }, ageSeconds);
    },
  });
  registry.registerMetric(gauge);
}
