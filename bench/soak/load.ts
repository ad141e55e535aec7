/** Steady traffic, and what must be true of it in the end: whoever was told something is remembered with it. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { call, type Answer, tokens } from '../../test/harness/client.ts';
import { event } from '../../test/harness/events.ts';
import type { World } from './world.ts';

export const organization = 'soak';

export interface Told {
  /** Sessions that signed in, with their chain; `ended`: a termination of it was answered. */
  sessions: Map<string, { userId: string; ended: boolean }>;
  /** Ids of terminations that were answered. */
  terminations: Set<string>;
  grants: Map<string, { revoked: boolean }>;
  answers: Map<string, number>;
  /** Answers that the interface does not allow, with what they said. */
  wrong: string[];
  requests: number;
  retries: number;
}

type Answered = Answer<{ id: string; code?: string; results?: { outcome: string }[] }>;

export function createLoad({ urls, issuer, authModule }: World, perSecond: number) {
  const told: Told = {
    sessions: new Map(),
    terminations: new Set(),
    grants: new Map(),
    answers: new Map(),
    wrong: [],
    requests: 0,
    retries: 0,
  };
  const stopping = new AbortController();
  let [turn, number] = [0, 0];

  /** Repeats what got no answer, or a 503 or 409 that asks for it, with the same key; gives up never. */
  async function send(label: string, method: string, path: string, token: string, body?: object): Promise<Answered> {
    const headers = { 'idempotency-key': randomUUID(), connection: 'close', prefer: 'wait=1' };
    for (;;) {
      const url = urls[turn++ % urls.length] ?? '';
      try {
        const answer = await call<Answered['body']>({ url }, method, path, { token, body, headers });
        count(`${label} ${answer.status}`);
        const isPassing =
          answer.status === 503 || (answer.status === 409 && answer.body.code === 'idempotency-key-in-use');
        if (answer.status >= 500 && answer.status !== 503)
          told.wrong.push(`${label}: ${answer.status} ${answer.text.slice(0, 200)}`);
        if (!isPassing && answer.status < 500) return answer;
      } catch {
        count(`${label} no answer`);
      }
      told.retries += 1;
      await sleep(250);
    }
  }
  const count = (key: string) => {
    told.requests += 1;
    told.answers.set(key, (told.answers.get(key) ?? 0) + 1);
  };
  const expectStatus = (label: string, { status, text }: Answered, ...allowed: number[]) => {
    if (!allowed.includes(status)) told.wrong.push(`${label}: ${status} ${text.slice(0, 200)}`);
  };
  const admin = () => tokens(issuer).orgAdmin(organization);
  const path = (rest: string) => `/v1/organizations/${organization}/${rest}`;

  async function story(): Promise<void> {
    const n = ++number;
    const [sessionId, chainId, userId] = [`s${n}`, `c${n}`, `u${n % 200}`];
    const ingest = await tokens(issuer).machine('sessions:ingest');
    const sketch = { organizationId: organization, userId, sessionId, chainId };
    const started = event('session.started', sketch);
    authModule.chains.add({ ...sketch, sessionStartedAt: started.startedAt });
    const first = await send('sign-in', 'POST', '/v1/session-events', ingest, { events: [started] });
    expectStatus('sign-in', first, 200);
    if (first.body.results?.[0]?.outcome === 'rejected') told.wrong.push(`sign-in ${sessionId} was rejected`);
    told.sessions.set(sessionId, { userId, ended: false });
    await send('refresh', 'POST', '/v1/session-events', ingest, {
      events: [
        event('session.refreshed', { ...sketch, startedAt: started.startedAt, occurredAt: new Date().toISOString() }),
      ],
    });
    expectStatus('list', await send('list', 'GET', path(`users/${userId}/sessions`), await admin()), 200);
    if (n % 2 === 0) await end(sessionId);
    if (n % 20 === 0) await grant(`staff-${n}`);
  }
  async function end(sessionId: string): Promise<void> {
    const answer = await send('terminate', 'POST', path(`sessions/${sessionId}/terminate`), await admin(), {
      reason: 'soak',
    });
    expectStatus('terminate', answer, 200, 202);
    told.terminations.add(answer.body.id);
    told.sessions.set(sessionId, { userId: '', ended: true });
  }
  async function grant(userId: string): Promise<void> {
    const expiresAt = new Date(Date.now() + 3_600_000).toISOString();
    const created = await send('grant', 'POST', path('support-access-grants'), await admin(), { userId, expiresAt });
    expectStatus('grant', created, 201);
    told.grants.set(created.body.id, { revoked: false });
    const revoked = await send(
      'revoke',
      'POST',
      path(`support-access-grants/${created.body.id}/revoke`),
      await admin(),
      {},
    );
    expectStatus('revoke', revoked, 200);
    told.grants.set(created.body.id, { revoked: true });
  }

  const done = (async () => {
    const open = new Set<Promise<void>>();
    while (!stopping.signal.aborted) {
      const one = story().catch((error: unknown) => void told.wrong.push(String(error)));
      open.add(one);
      void one.then(() => open.delete(one));
      await sleep(1_000 / perSecond);
    }
    await Promise.all(open);
  })();
  return { told, stop: () => (stopping.abort(), done) };
}
