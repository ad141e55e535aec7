import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { pendingClassOf } from '../../src/auth-module/auth-module.ts';
import { asksFor } from '../faulty-auth-module.ts';
import type { Fault } from './faults.ts';
import { failureOf, organizationId, useFaultyServer } from './use-faulty-server.ts';

const { server, adapter, kill } = useFaultyServer();
const add = (...ids: string[]) =>
  server().chains.addMany(ids.map((chainId) => ({ chainId, organizationId, sessionId: `s-${chainId}` })));

describe('outcomes of one answer', () => {
  it('that are missing leave the others confirmed', async () => {
    add('c1', 'c2');
    server().inject({ kind: 'missing-outcomes', ids: ['c2', 's-c1'] });
    const { chains, sessions, errorClass } = await kill(['c1', 'c2'], ['s-c1', 's-c2']);
    expect([[...chains], [...sessions], errorClass]).toEqual([
      [['c1', 'invalidated']],
      [['s-c2', 'invalidated']],
      'bad-response',
    ]);
    expect([pendingClassOf(chains.get('c1')), pendingClassOf(chains.get('c2'))]).toEqual([null, 'bad-response']);
  });

  it('that say `failed` hold up nobody else and are rejections', async () => {
    add('c1', 'poison');
    server().inject({ kind: 'poison', ids: ['poison'] });
    const { chains, errorClass } = await kill(['c1', 'poison']);
    expect([...chains]).toEqual([
      ['c1', 'invalidated'],
      ['poison', 'failed'],
    ]);
    expect([errorClass, pendingClassOf('failed')]).toEqual(['rejected', 'rejected']);
    expect([server().chains.isAlive(organizationId, 'c1'), server().chains.isAlive(organizationId, 'poison')]).toEqual([
      false,
      true,
    ]);
  });

  it('that contradict each other confirm nothing for that chain', async () => {
    add('c1', 'c2');
    server().inject({ kind: 'contradictory-outcomes', ids: ['c2'] });
    const { chains, errorClass } = await kill(['c1', 'c2']);
    expect([[...chains], errorClass]).toEqual([[['c1', 'invalidated']], 'bad-response']);
  });

  it('may carry fields that the contract does not know', async () => {
    server().inject({
      kind: 'body',
      body: { chains: [{ chainId: 'c1', outcome: 'already-dead', why: 1 }], sessions: [], took: 3 },
    });
    expect((await kill(['c1'])).errorClass).toBeNull();
  });

  it('fail as a whole only with the page that holds the poison', async () => {
    server().inject({ kind: 'status', status: 500 }, { when: asksFor('poison') });
    expect((await failureOf(kill(['c1', 'poison']))).errorClass).toBe('server-error');
    expect((await kill(['c1'])).errorClass).toBeNull();
  });
});

describe('the caller', () => {
  it('who gives up gets their own reason back, not a class', async () => {
    server().inject({ kind: 'hang' });
    const reason = new Error('worker is shutting down');
    const controller = new AbortController();
    setTimeout(() => controller.abort(reason), 50);
    await expect(kill(['c1'], [], controller.signal)).rejects.toBe(reason);
    await expect(kill(['c1'], [], controller.signal)).rejects.toBe(reason);
  });

  it('who would send an empty question, or too long a one, has a bug and sends nothing', async () => {
    const ids = Array.from({ length: 501 }, (_, i) => `c${i}`);
    await expect(kill([])).rejects.toThrow(RangeError);
    await expect(kill(ids)).rejects.toThrow(RangeError);
    await expect(kill(['c1'], ids)).rejects.toThrow(RangeError);
    for (const empty of [
      { sessionIds: [] },
      { userId: '' },
      { supportAccessGrantId: '' },
      { organizationId: '' },
      { sessionStartedAtOrBefore: 'never' },
    ]) {
      await expect(
        adapter().listRefreshChains({ organizationId, ...empty }, null),
        JSON.stringify(empty),
      ).rejects.toThrow(RangeError);
    }
    expect(server().calls).toEqual([]);
  });
});

describe('nothing of a body or token leaves the adapter', () => {
  it.each<[string, Fault]>([
    ['an error page', { kind: 'status', status: 500 }],
    ['malformed JSON', { kind: 'malformed-json' }],
    ['a broken contract', { kind: 'body', body: { chains: 'secret-of-the-body', sessions: [] } }],
    ['a foreign id', { kind: 'extra-outcomes', chainId: 'secret-of-the-body' }],
  ])('with %s', async (_, fault) => {
    server().inject(fault);
    const error = await failureOf(kill(['c1']));
    expect(error.message).toMatch(/^The Auth Module did not confirm: [a-z-]+( \(\d{3}\))?$/);
    expect(error.cause).toBeUndefined();
    expect(inspect(error, { depth: 9 }) + JSON.stringify(error)).not.toContain('secret-of-the-body');
  });

  it('with an unusable token, which is refused at start without being shown', () => {
    expect(() => adapter({ token: 'secret-token\n' })).toThrow(TypeError);
    expect(() => adapter({ token: 'secret-token\n' })).not.toThrow(/secret-token/);
    for (const url of ['ftp://auth', 'http://user:pass@auth', 'http://auth/?a=b'])
      expect(() => adapter({ url })).toThrow(TypeError);
  });
});
