import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import type { TerminationView } from '../../src/rules/termination.ts';
import { tokens } from '../harness/client.ts';
import { type EventResult, started } from '../harness/events.ts';
import { untilCompleted } from '../harness/terminations.ts';
import { createBalancer } from './balanced.ts';
import { type RunningProcess, through, useProcesses } from './use-processes.ts';

const processes = useProcesses({ VERIFY_AFTER_SECONDS: '600', DATABASE_POOL_SIZE: '6' });
const org = 'rolling';

it(
  'two of each process, replaced one after the other under load, lose no request and no termination',
  { timeout: 240_000 },
  async () => {
    const apis = await Promise.all([processes.api(), processes.api()]);
    const workers = await Promise.all([processes.worker(), processes.worker()]);
    const { balanced, state } = createBalancer(apis);
    const [ingest, admin] = await Promise.all([
      tokens(processes.issuer).machine('sessions:ingest'),
      tokens(processes.issuer).orgAdmin(org),
    ]);
    const statuses = new Map<number, number>();
    const count = (status: number) => statuses.set(status, (statuses.get(status) ?? 0) + 1);
    const terminations: TerminationView[] = [];
    const failures: unknown[] = [];
    const rolling = new AbortController();

    async function signInAndEnd(n: number): Promise<void> {
      const session = {
        organizationId: org,
        userId: `user-${n % 20}`,
        sessionId: `session-${n}`,
        chainId: `chain-${n}`,
      };
      const event = started(session);
      processes.authModule.chains.add({ ...session, sessionStartedAt: event.startedAt });
      const told = await balanced<{ results: EventResult[] }>('POST', '/v1/session-events', {
        token: ingest,
        body: { events: [event] },
      });
      count(told.status);
      expect(told.body.results[0]?.outcome).toMatch(/accepted|duplicate/);
      const headers = { 'idempotency-key': randomUUID(), prefer: n % 3 === 0 ? 'wait=1' : 'respond-async' };
      const ended = await balanced<TerminationView>(
        'POST',
        `/v1/organizations/${org}/sessions/session-${n}/terminate`,
        { token: admin, body: {}, headers },
      );
      count(ended.status);
      terminations.push(ended.body);
    }
    const load = (async () => {
      const running: Promise<void>[] = [];
      for (let n = 0; !rolling.signal.aborted; n++) {
        running.push(signInAndEnd(n).catch((error: unknown) => void failures.push(error)));

        await sleep(200);
      }
      await Promise.all(running);
    })();
    async function replace(list: RunningProcess[], start: () => Promise<RunningProcess>): Promise<void> {
      for (let n = 0; n < 2; n++) {
        const old = list.shift();
        const { code } = (await old?.terminate()) ?? {};
        expect(code, old?.lines.slice(-5).join('\n')).toBe(0);
        list.push(await start());
      }
    }
    await sleep(1_500);
    await Promise.all([replace(apis, processes.api), replace(workers, processes.worker)]);
    await sleep(1_500);
    rolling.abort();
    await load;

    expect(failures).toEqual([]);
    expect([...statuses.keys()].filter((status) => ![200, 202].includes(status))).toEqual([]);
    expect(new Set(terminations.map(({ id }) => id)).size).toBe(terminations.length);
    const [api] = apis;
    if (api === undefined) throw new Error('an API is in service');
    for (const termination of terminations) {
      const completed = await untilCompleted(through(processes, api), termination, 60_000);
      expect({ sessions: completed.sessions, chains: completed.chains }).toMatchObject({
        sessions: { total: 1, pending: 0 },
        chains: { total: 1, pending: 0 },
      });
    }
    expect(processes.authModule.chains.alive(org)).toEqual([]);
    expect(await processes.database.query('select count(*)::int as n from terminations')).toEqual([
      { n: terminations.length },
    ]);
    process.stdout.write(
      `rolling restart: ${terminations.length} terminations, ${state.retried} connections and ${state.asked} answers tried again\n`,
    );
  },
);
