import { beforeEach, describe, expect, test } from 'vitest';
import { CookieJar, visit } from '../../reference-auth-module/cookie-jar.ts';
import { signIn, SignInFailed } from '../../reference-auth-module/client.ts';
import { endpointsOf } from './endpoints.ts';
import { useReferenceAuthModule } from './harness.ts';

const harness = useReferenceAuthModule();
const { invalidate } = endpointsOf(harness);
beforeEach(() => harness.service.reset());

const ada = { user: 'ada', organization: 'acme' };
const signInAs = (who: { user: string; organization: string }, more: object = {}) =>
  signIn({ issuer: harness.issuer, ...who, ...more });
const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => {
      throw new Error('signed in');
    },
    (error: unknown) => {
      if (error instanceof SignInFailed) return error;
      throw error;
    },
  );

describe('nothing is issued before the start was answered', () => {
  test('a rejected start refuses the sign-in, and leaves no session and no chain', async () => {
    harness.service.answer = () => ({ outcome: 'rejected', reason: 'fenced' });
    expect(await failure(signInAs(ada))).toMatchObject({
      error: 'access_denied',
      message: expect.stringContaining('fenced'),
    });
    const sessionId = harness.service.events[0]!.sessionId;
    expect(
      await harness.sql('select 1 from auth_sessions where session_id = $1 and ended_at is null', [sessionId]),
    ).toEqual([]);
    expect(await harness.sql('select 1 from auth_chains where session_id = $1', [sessionId])).toEqual([]);
  });

  test('an unreachable service refuses it for now, and is told of the end when it is back', async () => {
    harness.service.answer = () => {
      throw new Error('lost');
    };
    harness.service.down = true;
    expect(await failure(signInAs(ada))).toMatchObject({ error: 'temporarily_unavailable' });
    harness.service.reset();
    await expect
      .poll(() => harness.service.events.map((event) => event.type), { timeout: 5000 })
      .toContain('session.ended');
  });

  test('a session that is ended while its start is on the way is refused', async () => {
    harness.service.answer = async (event) => {
      const { organizationId, sessionId } = event;
      const { sessions } = await invalidate(organizationId, { sessionIds: [sessionId] });
      expect(sessions).toEqual([{ sessionId, outcome: 'invalidated' }]);
      return { outcome: 'accepted' };
    };
    expect(await failure(signInAs(ada))).toMatchObject({ error: 'access_denied' });
  });
});

describe('refusals', () => {
  test('an unknown user is told so on the page, which keeps what was entered', async () => {
    expect(await failure(signInAs({ user: 'mallory', organization: 'acme' }))).toMatchObject({
      error: 'sign_in_form',
      message: expect.stringContaining('mallory'),
    });
    expect(harness.service.events).toEqual([]);
  });

  test('no code without PKCE, nor to an address that is not a loopback', async () => {
    const query = 'client_id=web&response_type=code&scope=openid&state=s';
    const plain = await visit(
      new CookieJar(),
      new URL(`/auth?${query}&redirect_uri=${encodeURIComponent('http://127.0.0.1:5999/cb')}`, harness.issuer),
    );
    expect(new URL(plain.headers.get('location')!).searchParams.get('error')).toBe('invalid_request');
    const elsewhere = await visit(
      new CookieJar(),
      new URL(`/auth?${query}&redirect_uri=${encodeURIComponent('https://evil.example/cb')}`, harness.issuer),
    );
    expect([elsewhere.status, elsewhere.headers.get('location')]).toEqual([400, null]);
  });

  test('a form that comes from another browser is refused', async () => {
    const started = await visit(
      new CookieJar(),
      new URL(
        '/auth?client_id=web&response_type=code&scope=openid&redirect_uri=http://127.0.0.1/cb&code_challenge=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU&code_challenge_method=S256',
        harness.issuer,
      ),
    );
    const form = new URL(started.headers.get('location')!, harness.issuer);
    expect(form.pathname).toMatch(/^\/interaction\//);
    const posted = await visit(new CookieJar(), form, { act: 'sign-in', ...ada });
    expect(posted.status).toBe(400);
    expect(harness.service.events).toEqual([]);
  });

  test('what a person enters is shown as text, never as markup', async () => {
    const error = await failure(signInAs({ user: '<script>x</script>', organization: 'acme' }));
    expect(error.message).toContain('&lt;script&gt;');
  });
});
