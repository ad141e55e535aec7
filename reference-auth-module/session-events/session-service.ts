import { z } from 'zod';
import type { Clock } from '../clock.ts';
import type { SessionEvent } from './session-event.ts';

const EventResults = z.object({
  results: z.array(
    z.object({
      eventId: z.string(),
      outcome: z.enum(['accepted', 'duplicate', 'stale', 'rejected']),
      reason: z.string().nullish(),
    }),
  ),
});
const CheckAnswer = z.object({
  decision: z.enum(['allow', 'deny']),
  reason: z.string(),
  grantId: z.string().nullable(),
  notAfter: z.iso.datetime({ offset: true }).nullable(),
});

export type EventResult = z.infer<typeof EventResults>['results'][number];
export type SupportAccessDecision = z.infer<typeof CheckAnswer>;

/** What this module asks of the Session Management Service. Every method throws unless it got a whole, valid answer. */
export interface SessionService {
  /** One result for each event, in the same order. */
  sendEvents(events: readonly SessionEvent[]): Promise<EventResult[]>;
  checkSupportAccess(organizationId: string, userId: string): Promise<SupportAccessDecision>;
}

export interface SessionServiceOptions {
  url: string;
  clock: Clock;
  /** One token for each purpose: none can do more than its call needs. */
  tokens: { ingest: () => Promise<string>; check: () => Promise<string> };
  timeoutMs?: number;
}

export function createSessionService({ url, clock, tokens, timeoutMs = 5000 }: SessionServiceOptions): SessionService {
  const base = url.replace(/\/+$/, '');

  async function post(path: string, token: string, body: unknown): Promise<unknown> {
    const response = await fetch(`${base}${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
      redirect: 'error',
      signal: AbortSignal.timeout(timeoutMs),
    });
    const answer: unknown = await response.json().catch(() => undefined);
    if (!response.ok) throw new Error(`${path} answered ${response.status}`);
    return answer;
  }

  return {
    async sendEvents(events) {
      const answer = await post('/v1/session-events', await tokens.ingest(), {
        events,
        sentAt: clock.now().toISOString(),
      });
      const { results } = EventResults.parse(answer);
      const inOrder = results.length === events.length && results.every((r, i) => r.eventId === events[i]?.eventId);
      if (!inOrder) throw new Error('the results of /v1/session-events are not those of its events');
      return results;
    },
    async checkSupportAccess(organizationId, userId) {
      const question = { organizationId, userId, role: 'global_admin' };
      return CheckAnswer.parse(await post('/v1/support-access/check', await tokens.check(), question));
    },
  };
}
