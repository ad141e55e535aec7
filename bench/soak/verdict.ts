/** What must be true when all is quiet: nothing lost, nothing doubled, every counter exact. */
import { setTimeout as sleep } from 'node:timers/promises';
import { organization, type Told } from './load.ts';
import type { World } from './world.ts';

export interface Verdict {
  name: string;
  expected: number;
  found: number;
}

/** Waits until no termination runs and no grant is ending, at most `withinMs`. */
export async function untilQuiet({ query }: World, withinMs: number): Promise<number> {
  const began = performance.now();
  for (;;) {
    const [open] = await query<{ n: number }>(`select (select count(*) from terminations where status = 'running')::int
      + (select count(*) from support_access_grants where access_ended_at is not null and sessions_cleared_at is null)::int as n`);
    if (open?.n === 0 || performance.now() - began > withinMs) return Math.round((performance.now() - began) / 1_000);
    await sleep(500);
  }
}

export async function judge({ query, authModule }: World, told: Told): Promise<Verdict[]> {
  const [t] = await query<
    Record<string, number>
  >(`select count(*)::int as rows, count(*) filter (where status = 'completed')::int as completed,
    sum(sessions_total)::int as sessions, sum(chains_total)::int as chains, sum(chains_confirmed + chains_already_dead)::int as settled from terminations`);
  const [facts] = await query<
    Record<string, number>
  >(`select count(*) filter (where action = 'termination.requested')::int as requested,
    count(*) filter (where action = 'termination.completed')::int as completed, count(*) filter (where action = 'support-access.granted')::int as granted,
    count(*) filter (where action = 'support-access.revoked')::int as revoked from audit_events`);
  const [s] = await query<Record<string, number>>(
    `select count(*)::int as rows, count(*) filter (where end_reason = 'terminated')::int as ended from sessions`,
  );
  const [g] = await query<Record<string, number>>(
    `select count(*) filter (where starts_at is not null)::int as lived, count(*) filter (where end_reason = 'revoked')::int as revoked from support_access_grants`,
  );
  const ended = [...told.sessions].filter(([, session]) => session.ended).map(([id]) => id);
  const alive = new Set(authModule.chains.alive(organization).map(({ sessionId }) => sessionId));
  const compare = (name: string, expected: number, found: number | undefined): Verdict => ({
    name,
    expected,
    found: found ?? -1,
  });
  return [
    compare('sessions recorded', told.sessions.size, s?.['rows']),
    compare('sessions ended', ended.length, s?.['ended']),
    compare('terminations, one for each request', told.terminations.size, t?.['rows']),
    compare('terminations completed', told.terminations.size, t?.['completed']),
    compare('sessions counted by terminations', ended.length, t?.['sessions']),
    compare('chains counted by terminations', ended.length, t?.['chains']),
    compare('chains settled', ended.length, t?.['settled']),
    compare('ended sessions alive at the Auth Module', 0, ended.filter((id) => alive.has(id)).length),
    compare('other sessions alive at the Auth Module', told.sessions.size - ended.length, alive.size),
    compare('audit: terminations requested', told.terminations.size, facts?.['requested']),
    compare('audit: terminations completed', told.terminations.size, facts?.['completed']),
    compare('grants that lived', told.grants.size, g?.['lived']),
    compare('grants revoked', told.grants.size, g?.['revoked']),
    compare('audit: granted', told.grants.size, facts?.['granted']),
    compare('audit: revoked', told.grants.size, facts?.['revoked']),
    compare('answers that the interface does not allow', 0, told.wrong.length),
  ];
}

/** A third more than at first, and room for one collection that is late, is still called flat. MiB by process, in order. */
export function judgeMemory(samples: readonly Record<string, number>[]): Verdict[] {
  const third = Math.ceil(samples.length / 3);
  const mean = (some: readonly Record<string, number>[], name: string) =>
    some.reduce((sum, sample) => sum + (sample[name] ?? 0), 0) / Math.max(1, some.length);
  return Object.keys(samples[0] ?? {}).map((name) => {
    const [first, last] = [mean(samples.slice(0, third), name), mean(samples.slice(-third), name)];
    return {
      name: `memory of ${name} beyond flat: ${Math.round(first)} to ${Math.round(last)} MiB`,
      expected: 0,
      found: Math.max(0, Math.round(last - first * 1.33 - 32)),
    };
  });
}
