import { Counter, Histogram, type Registry } from 'prom-client';
import { type AuthModule, AuthModuleError } from '../auth-module/auth-module.ts';
import { prefix } from './naming.ts';

/** `confirmed`, an error class, or `given-up` (the caller's own doing: a shutdown, a longer wait than it has). */
type Outcome = string;

/** The same Auth Module; every call is counted by what it came to, and timed. A page with a failed id counts by its class. */
export function measuredAuthModule(authModule: AuthModule, registry: Registry): AuthModule {
  const calls = new Counter({
    name: `${prefix}auth_module_calls_total`,
    help: 'Calls to the Auth Module by method and outcome: `confirmed`, an error class, or `given-up`.',
    labelNames: ['method', 'outcome'] as const,
    registers: [registry],
  });
  const duration = new Histogram({
    name: `${prefix}auth_module_call_duration_seconds`,
    help: 'How long calls to the Auth Module took, answered or not.',
    labelNames: ['method'] as const,
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    registers: [registry],
  });
  async function measure<T>(method: string, call: () => Promise<T>, outcomeOf: (answer: T) => Outcome): Promise<T> {
    const stop = duration.startTimer({ method });
    try {
      const answer = await call();
      calls.inc({ method, outcome: outcomeOf(answer) });
      return answer;
    } catch (error) {
      calls.inc({ method, outcome: error instanceof AuthModuleError ? error.errorClass : 'given-up' });
      throw error;
    } finally {
      stop();
    }
  }
  return {
    listRefreshChains: (search, cursor, signal) =>
      measure(
        'search',
        () => authModule.listRefreshChains(search, cursor, signal),
        () => 'confirmed',
      ),
    invalidateRefreshChains: (request, signal) =>
      measure(
        'invalidate',
        () => authModule.invalidateRefreshChains(request, signal),
        (a) => a.errorClass ?? 'confirmed',
      ),
  };
}
