import { beforeEach, expect, test } from 'vitest';
import { refresh, signIn, signOut } from '../../reference-auth-module/client.ts';
import { endpointsOf } from './endpoints.ts';
import { useReferenceAuthModule } from './harness.ts';

const harness = useReferenceAuthModule({ clockOffsetMs: 7000 });
beforeEach(() => harness.service.reset());

const { signOuts } = endpointsOf(harness);
const issuer = () => harness.issuer;
const ada = () => signIn({ issuer: issuer(), user: 'ada', organization: 'acme' });

test('an event carries all that is known of its session, and the caller is a machine', async () => {
  const { claims } = await ada();
  await expect.poll(() => harness.service.of(claims.sid)).toHaveLength(2);
  const [started, chain] = harness.service.of(claims.sid);
  expect(started).toMatchObject({
    ipAddress: '127.0.0.1',
    userAgent: 'reference-auth-module-client',
    authenticationMethods: ['demo'],
  });
  expect(chain).toMatchObject({ type: 'chain.started', chainId: expect.any(String), startedAt: started!.startedAt });
  const { caller } = harness.service.batches[0]!;
  expect(caller.scope).toBe('sessions:ingest');
  expect(caller).not.toHaveProperty('sid');
  expect(caller).not.toHaveProperty('roles');
});

test('stamps are those of its own clock', async () => {
  const { claims } = await ada();
  const aheadMs = Date.parse(harness.service.of(claims.sid)[0]!.startedAt) - Date.now();
  expect(aheadMs).toBeGreaterThan(5500);
  expect(Date.parse(harness.service.batches[0]!.sentAt) - Date.now()).toBeGreaterThan(5000);
});

test('what could not be delivered waits through outage and restart, and arrives in order', async () => {
  const { claims, refreshToken } = await ada();
  harness.service.down = true;
  let token = refreshToken;
  for (let i = 0; i < 5; i += 1)
    token = String((await refresh({ issuer: issuer(), refreshToken: token })).body.refresh_token);
  await harness.restart();
  harness.service.down = false;
  await expect
    .poll(() => harness.service.of(claims.sid).map((event) => event.type), { timeout: 10_000 })
    .toEqual(['session.started', 'chain.started', ...Array(5).fill('session.refreshed')]);
  const times = harness.service.of(claims.sid).map((event) => event.occurredAt);
  expect(times).toEqual(times.toSorted());
});

test('a batch that was answered with nonsense is sent again with the same event ids', async () => {
  const { claims } = await ada();
  await expect.poll(() => harness.service.of(claims.sid)).toHaveLength(2);
  harness.service.answer = () => ({ outcome: 'nonsense' });
  const ended = () => harness.service.of(claims.sid).filter((event) => event.type === 'session.ended');
  const signingOut = signOuts([String(claims.sid)]);
  await expect.poll(() => ended().length).toBeGreaterThan(1);
  harness.service.answer = () => ({ outcome: 'accepted' });
  expect(await signingOut).toEqual({ sessionIds: [claims.sid] });
  expect(new Set(ended().map((event) => event.eventId)).size).toBe(1);
});

test('signing out ends the session, tells of it, and leaves offline access alive', async () => {
  const { claims, cookies, refreshToken } = await ada();
  await signOut({ issuer: issuer(), cookies });
  await expect.poll(() => harness.service.of(claims.sid).map((event) => event.type)).toContain('session.ended');
  expect((await refresh({ issuer: issuer(), refreshToken })).status).toBe(200);
  await expect(
    signIn({ issuer: issuer(), user: 'ada', organization: 'acme', cookies, continueSession: true }),
  ).rejects.toMatchObject({ error: 'sign_in_form' });
});

test.for(['chain.started', 'session.refreshed'])(
  'a rejected %s ends the session and kills its chains',
  async (type) => {
    harness.service.answer = (event) =>
      event.type === type ? { outcome: 'rejected', reason: 'session-ended' } : { outcome: 'accepted' };
    const { refreshToken, cookies } = await ada();
    let token = refreshToken;
    await expect
      .poll(
        async () => {
          const { status, body } = await refresh({ issuer: issuer(), refreshToken: token });
          if (body.refresh_token) token = body.refresh_token;
          return status;
        },
        { timeout: 5000 },
      )
      .toBe(400);
    await expect(
      signIn({ issuer: issuer(), user: 'ada', organization: 'acme', cookies, continueSession: true }),
    ).rejects.toMatchObject({ error: 'sign_in_form' });
  },
);
