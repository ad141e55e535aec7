import { describe, expect, it } from 'vitest';
import { organizationId, useFaultyServer } from './use-faulty-server.ts';

const { server, adapter, kill } = useFaultyServer();
const sessionId = 'session-of-c1';
const signIn = () => server().chains.add({ chainId: 'c1', organizationId });
const isAlive = () => server().chains.isAlive(organizationId, 'c1');
const outcome = async () => (await kill(['c1'], [sessionId])).chains.get('c1');

describe('the faulty Auth Module can', () => {
  it('lie once, and tell the truth when asked again', async () => {
    signIn();
    server().inject({ kind: 'lie' }, { times: 1 });
    expect([await outcome(), isAlive()]).toEqual(['invalidated', true]);
    expect([await outcome(), isAlive()]).toEqual(['invalidated', false]);
  });

  it('bring a chain back to life after it confirmed its death, in a session that stays ended', async () => {
    signIn();
    server().inject({ kind: 'resurrect' }, { times: 1 });
    expect([await outcome(), isAlive()]).toEqual(['invalidated', true]);
    expect((await adapter().listRefreshChains({ organizationId }, null)).chains).toHaveLength(1);
    expect(server().chains.add({ chainId: 'c2', organizationId, sessionId })).toBe(false);
  });

  it('go away and come back at the same address with the same chains', async () => {
    signIn();
    const { url } = server();
    await server().stop();
    await expect(outcome()).rejects.toThrow('unreachable');
    await server().restart();
    expect([await outcome(), server().url]).toEqual(['invalidated', url]);
  });

  it('be wrong for one endpoint and one organization only, as often as asked', async () => {
    server().inject(
      { kind: 'status', status: 503 },
      { times: 1, endpoint: 'search', when: (call) => call.organizationId === 'other' },
    );
    expect(await outcome()).toBe('already-dead');
    await adapter().listRefreshChains({ organizationId }, null);
    await expect(adapter().listRefreshChains({ organizationId: 'other' }, null)).rejects.toThrow('server-error (503)');
    await adapter().listRefreshChains({ organizationId: 'other' }, null);
    expect(server().calls.map(({ endpoint, status }) => `${endpoint} ${status}`)).toEqual([
      'invalidate 200',
      'search 200',
      'search 503',
      'search 200',
    ]);
  });

  it('be slow, and count the calls it then has in flight', async () => {
    server().inject({ kind: 'slow', latencyMs: 40 });
    await Promise.all([outcome(), outcome(), outcome()]);
    expect(server().peakInFlight).toBe(3);
  });
});
