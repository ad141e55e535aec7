import { Gauge, type Registry } from 'prom-client';
import type { Backlog } from './backlog.ts';
import { prefix } from './naming.ts';

/** Every process that is scraped reads the same rows: however often it is asked, they are read once in this time. */
const FRESH_MS = 5_000;

const help = {
  terminations_running: 'Terminations that the Auth Module has not confirmed.',
  oldest_unconfirmed_termination_seconds: 'Age of the oldest termination that is not confirmed.',
  stalled_terminations: 'Running terminations without an outcome for two minutes.',
  pending_sessions: 'Sign-ins whose end the Auth Module has not confirmed.',
  pending_chains: 'Refresh-token chains whose death the Auth Module has not confirmed.',
  undelivered_terminations: 'Terminations with a decision that Temporal has not been told.',
  silent_terminations: 'Terminations whose workflow is a minute past the look that it promised.',
  grants_live: 'Support access grants that give access.',
  grants_ending: 'Grants whose access is off and whose sessions are not confirmed dead.',
  oldest_ending_grant_seconds: 'Since when the access of the oldest ending grant is off.',
  stalled_grants: 'Ending grants without progress for two minutes.',
  grant_end_lag_seconds: 'How long the oldest grant is past its end (access is off) without its clean-up having begun.',
  undelivered_grants: 'Grants with a decision that Temporal has not been told.',
  silent_grants: 'Grants whose workflow is a minute past the look that it promised.',
  unsealed_audit_events: 'Audit events that are not in their hash chain yet, counted up to 100000.',
  oldest_unsealed_audit_event_seconds: 'Age of the oldest audit event that is not in its hash chain.',
  auth_module_calls_leased: 'Calls to the Auth Module in flight, over all processes.',
  auth_module_clock_ahead_seconds: 'How far the clock of the Auth Module is ahead for certain.',
} satisfies Record<keyof Backlog, string>;
const isFigure = (name: string): name is keyof Backlog => Object.hasOwn(help, name);

/**
 * What is still to be done, read from PostgreSQL when somebody scrapes. No label names an organization, for those have no
 * bound. Where the database does not answer, the figures are absent rather than old, and `backlog_read_success` is 0.
 */
export function registerBacklog(registry: Registry, read: () => Promise<Backlog | undefined>): void {
  const collect = freshly(async () => {
    const backlog = await read().catch(() => undefined);
    success.set(backlog === undefined ? 0 : 1);
    for (const [name, gauge] of gauges) {
      if (backlog === undefined) gauge.remove();
      else gauge.set(backlog[name]);
    }
  });
  const gaugeOf = (name: string, text: string) =>
    new Gauge({ name: prefix + name, help: text, registers: [registry], collect });
  const success = gaugeOf('backlog_read_success', 'Whether the figures of the backlog could be read.');
  const gauges = Object.keys(help)
    .filter(isFigure)
    .map((name) => [name, gaugeOf(name, help[name])] as const);
}

/** All metrics of a registry are collected side by side: they share one reading, which is made at most every five seconds. */
function freshly(read: () => Promise<void>): () => Promise<void> {
  let last: { at: number; done: Promise<void> } | undefined;
  return () => {
    if (last === undefined || performance.now() - last.at > FRESH_MS) last = { at: performance.now(), done: read() };
    return last.done;
  };
}
