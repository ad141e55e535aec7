import { describe, expect, it } from 'vitest';
import { probeAuthModule } from '../../src/auth-module/probe-auth-module.ts';
import type { Fault } from './faults.ts';
import { failureOf, organizationId, useFaultyServer } from './use-faulty-server.ts';

const { server, adapter, kill } = useFaultyServer();
const refused = async (status: number) => {
  server().inject({ kind: 'status', status }, { times: 1 });
  return (await failureOf(kill(['c1']))).refused;
};

describe('an answer that is none has exactly one class', () => {
  const cases: [string, Fault, string, number | null][] = [
    ['a connection cut before the answer', { kind: 'refuse' }, 'unreachable', null],
    ['a reset in mid-body', { kind: 'reset-in-body' }, 'unreachable', null],
    ['no answer in time', { kind: 'hang' }, 'timeout', null],
    ['an answer that comes too late', { kind: 'slow', latencyMs: 400 }, 'timeout', null],
    ['a body that does not end in time', { kind: 'hang-in-body' }, 'timeout', null],
    ['429', { kind: 'status', status: 429 }, 'throttled', 429],
    ['500', { kind: 'status', status: 500 }, 'server-error', 500],
    ['503', { kind: 'status', status: 503 }, 'server-error', 503],
    ['401', { kind: 'status', status: 401 }, 'unauthorized', 401],
    ['403', { kind: 'status', status: 403 }, 'unauthorized', 403],
    ['400', { kind: 'status', status: 400 }, 'rejected', 400],
    ['a whole 404, which is a wrong address and not "dead",', { kind: 'status', status: 404 }, 'rejected', 404],
    ['408', { kind: 'status', status: 408 }, 'rejected', 408],
    [
      'a redirect, which is not followed with our token,',
      { kind: 'status', status: 307, location: '/refresh-chains/invalidate' },
      'bad-response',
      307,
    ],
    ['2xx without a body', { kind: 'status', status: 204 }, 'bad-response', 204],
    ['malformed JSON', { kind: 'malformed-json' }, 'bad-response', 200],
    ['text that is not UTF-8', { kind: 'invalid-utf8' }, 'bad-response', 200],
    ['what is not HTTP', { kind: 'not-http' }, 'bad-response', null],
    ['a body longer than the bound', { kind: 'too-large', bytes: 200_000 }, 'bad-response', 200],
    ['null', { kind: 'body', body: null }, 'bad-response', null],
    ['an empty object', { kind: 'body', body: {} }, 'bad-response', null],
    [
      'an outcome of another word',
      { kind: 'body', body: { chains: [{ chainId: 'c1', outcome: 'ok' }], sessions: [] } },
      'bad-response',
      null,
    ],
    ['an outcome for a chain that was not asked', { kind: 'extra-outcomes' }, 'bad-response', null],
  ];
  it.each(cases)('%s is not a confirmation', async (_, fault, errorClass, status) => {
    server().inject(fault);
    const error = await failureOf(kill(['c1']));
    expect([error.errorClass, error.status, error.retryAfterMs]).toEqual([errorClass, status, null]);
  });

  it('a refused connection and an unknown host are unreachable', async () => {
    await server().stop();
    expect((await failureOf(kill(['c1']))).errorClass).toBe('unreachable');
    expect(await probeAuthModule(adapter())).toBe('unreachable');
    await server().restart();
    expect(await probeAuthModule(adapter())).toBeNull();
    expect(
      (
        await failureOf(
          adapter({ url: 'http://auth-module.invalid', timeoutMs: 5_000 }).listRefreshChains({ organizationId }, null),
        )
      ).errorClass,
    ).toBe('unreachable');
  });

  it('a wrong token and a wrong path are told apart from a dead chain, for calls and for readiness', async () => {
    expect(await probeAuthModule(adapter({ token: 'wrong' }))).toBe('unauthorized');
    expect(await probeAuthModule(adapter({ url: `${server().url}/elsewhere/` }))).toBe('rejected');
  });

  it('only what a mended configuration ends is `refused`, and so parked', async () => {
    for (const status of [400, 401, 403, 404, 422]) expect(await refused(status), String(status)).toBe(true);
    for (const status of [302, 408, 425, 429, 500, 503]) expect(await refused(status), String(status)).toBe(false);
  });
});

describe('Retry-After', () => {
  const past = 'Sun, 06 Nov 1994 08:49:37 GMT';
  it.each([
    [429, '7', 7_000],
    [503, '120', 120_000],
    [429, '0', 1_000],
    [503, '86400', 900_000],
    [503, '9'.repeat(400), 900_000],
    [429, past, 1_000],
    [429, 'Sunday, 06-Nov-94 08:49:37 GMT', 1_000],
    [429, 'Sun Nov  6 08:49:37 1994', 1_000],
    [503, 'Fri, 31 Dec 2100 23:59:59 GMT', 900_000],
    [429, 'soon', null],
    [429, '-5', null],
    [429, '1.5', null],
    [500, '7', null],
    [404, '7', null],
  ])('of a %i, `%s`, is understood within 1 s and 15 min or not at all', async (status, retryAfter, expected) => {
    server().inject({ kind: 'status', status, retryAfter });
    expect((await failureOf(kill(['c1']))).retryAfterMs).toBe(expected);
  });

  it('as a date counts from now', async () => {
    server().inject({ kind: 'status', status: 429, retryAfter: new Date(Date.now() + 60_000).toUTCString() });
    expect((await failureOf(kill(['c1']))).retryAfterMs).toSatisfy((ms: number) => ms > 55_000 && ms <= 60_000);
  });
});
