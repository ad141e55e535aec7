import { randomUUID } from 'node:crypto';
import type { BenchStack } from '../stack.ts';
import { figure, type Figure } from '../report.ts';

const batch = 1_000;
const seconds = Number(process.env['BENCH_SECONDS'] ?? 10);

/** Starts of new sessions with their chain, in batches of 1,000, from two callers at once. */
export async function sessionEvents(stack: BenchStack): Promise<Figure[]> {
  const token = await stack.issuer.token({ sub: 'auth-module', scope: 'sessions:ingest' });
  const post = async () => {
    const now = new Date().toISOString();
    const events = Array.from({ length: batch }, (_, n) => ({
      eventId: randomUUID(),
      type: 'session.started',
      occurredAt: now,
      startedAt: now,
      organizationId: `events-${n % 10}`,
      userId: `user-${Math.floor(Math.random() * 5_000)}`,
      sessionId: randomUUID(),
      chainId: randomUUID(),
      ipAddress: '198.51.100.7',
      userAgent: 'Mozilla/5.0',
      client: 'web',
      authenticationMethods: ['pwd'],
    }));
    const response = await fetch(`${stack.url}/v1/session-events`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ events, sentAt: now }),
    });
    const { results } = (await response.json()) as { results: { outcome: string }[] };
    if (!results.every((result) => result.outcome === 'accepted'))
      throw new Error(`not all accepted: ${JSON.stringify(results.find((r) => r.outcome !== 'accepted'))}`);
  };
  await post();
  const began = performance.now();
  let batches = 0;
  const caller = async () => {
    for (; performance.now() - began < seconds * 1_000; batches++) await post();
  };
  await Promise.all([caller(), caller()]);
  const rate = (batches * batch) / ((performance.now() - began) / 1_000);
  return [figure('events', 'new sessions in batches of 1,000, over HTTP', rate, 'events/s', '>= 5000', rate >= 5_000)];
}
