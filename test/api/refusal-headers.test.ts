import { describe, expect, it } from 'vitest';
import { call, tokens } from '../harness/client.ts';
import { useStack } from '../harness/stack.ts';

// one write in half a minute: what is over the share has to wait for longer than the usual second
const stack = useStack({ worker: false, environment: { WRITES_PER_MINUTE: '2' } });

describe('an error’s own headers stand before those of its status', () => {
  it('WWW-Authenticate says what is wrong with a token, and nothing where there is none', async () => {
    const path = '/v1/organizations/acme/terminations';
    const challenge = async (token: string | null) =>
      (await call(stack, 'GET', path, { token })).headers.get('www-authenticate');
    expect(await challenge(null)).toBe('Bearer');
    expect(await challenge('a.b.c')).toBe('Bearer error="invalid_token"');
    const expired = await stack.issuer.token({ sub: 'admin', roles: ['org_admin'], org_id: 'acme', sid: 's', exp: 1 });
    expect(await challenge(expired)).toBe('Bearer error="invalid_token"');
  });

  it('Retry-After of a 429 is when there is room again', async () => {
    const write = async () =>
      call(stack, 'POST', '/v1/organizations/busy/users/grace/sessions/terminate', {
        token: await tokens(stack.issuer).orgAdmin('busy'),
        body: {},
        headers: { prefer: 'respond-async' },
      });
    const answers = [await write(), await write(), await write()];
    expect(answers.map(({ status }) => status)).toEqual([202, 202, 429]);
    const seconds = Number(answers[2]?.headers.get('retry-after'));
    expect(seconds).toBeGreaterThan(20);
    expect(seconds).toBeLessThanOrEqual(30);
  });
});
