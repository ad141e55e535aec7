import { pino } from 'pino';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startApi } from '../../src/api.ts';
import { loadConfig } from '../../src/config.ts';
import { eventually } from '../harness/client.ts';
import { useStack } from '../harness/stack.ts';
import { type Replicated, startMovingAddress, startReplicated } from './standby.ts';
import { asks, mayBeTriedAgain, outcomeOf } from './trouble.ts';

const stack = useStack({ worker: false });
let servers: Replicated;
beforeAll(async () => {
  servers = await startReplicated();
}, 60_000);
afterAll(() => servers.stop());

const startOn = async (databaseUrl: string) => {
  const config = loadConfig({ ...stack.environment, DATABASE_URL: databaseUrl, DATABASE_POOL_SIZE: '6' });
  const api = await startApi(config, pino({ level: 'silent' }));
  return { ...asks({ ...stack, url: api.url }), stop: () => api.stop() };
};
const isDone = ({ status }: { status: number }) => status === 200 || status === 202;
const manyAtOnce = <T>(ask: () => Promise<T>) => Promise.all(Array.from({ length: 12 }, ask));

it('an address that leads to a standby serves what reads, and says so; it writes as soon as it leads elsewhere', async () => {
  const address = await startMovingAddress(servers.url('standby'));
  const service = await startOn(address.url);
  expect((await service.list()).status).toBe(200);
  expect(outcomeOf(await service.end())).toEqual(mayBeTriedAgain);
  expect((await service.ready()).body).toMatchObject({ status: 'read-only' });
  expect((await service.check()).status).toBe(200);
  address.moveTo(servers.url('primary'));
  await eventually(service.end, isDone, 10_000);
  await service.stop();
  await address.close();
});

it(
  'of several hosts the one that can be written is used, and after a failover the other',
  { timeout: 60_000 },
  async () => {
    const [primary, standby] = [new URL(servers.url('primary')), new URL(servers.url('standby'))];
    const login = `${primary.username}:${primary.password}`;
    const both = `postgres://${login}@127.0.0.1:${standby.port},127.0.0.1:${primary.port}/replicated`;
    const service = await startOn(both);
    expect((await manyAtOnce(service.ingest)).every(isDone)).toBe(true);

    const moved = await startMovingAddress(servers.url('primary'));
    const behindAddress = await startOn(moved.url);
    expect((await manyAtOnce(behindAddress.end)).every(isDone)).toBe(true);

    await servers.query('primary', 'alter system set default_transaction_read_only = on');
    await servers.query('primary', 'select pg_reload_conf()');
    await servers.promote();
    const promotedAt = performance.now();
    moved.moveTo(servers.url('standby'));
    // what was the primary lives on and every connection to it is open: nothing but looking elsewhere ends the refusals
    const refusals: unknown[] = [];
    for (const each of [service, behindAddress]) {
      await eventually(
        async () => {
          const answer = await each.end();
          if (!isDone(answer)) refusals.push(outcomeOf(answer));
          return answer;
        },
        isDone,
        10_000,
      );
      expect((await manyAtOnce(each.ingest)).every(isDone)).toBe(true);
      expect((await each.ready()).body.status).not.toBe('read-only');
    }
    expect(refusals).toEqual(refusals.map(() => mayBeTriedAgain));
    expect(performance.now() - promotedAt).toBeLessThan(8_000);

    // who waits for a change is told by the new primary: both listeners have moved there
    await eventually(
      () => servers.query('standby', `select pid from pg_stat_activity where application_name like 'listen:%'`),
      ({ length }) => length === 2,
      15_000,
    );
    await servers.killPrimary();
    expect((await manyAtOnce(service.ingest)).every(isDone)).toBe(true);
    await Promise.all([service.stop(), behindAddress.stop()]);
    await moved.close();
  },
);
