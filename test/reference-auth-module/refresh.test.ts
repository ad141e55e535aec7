import { beforeEach, expect, test } from 'vitest';
import { refresh, signIn } from '../../reference-auth-module/client.ts';
import { endpointsOf } from './endpoints.ts';
import { useReferenceAuthModule } from './harness.ts';

const harness = useReferenceAuthModule();
beforeEach(() => harness.service.reset());

const { signIns } = endpointsOf(harness);
const issuer = () => harness.issuer;
const use = (refreshToken: string | undefined, client = 'web') =>
  refresh({ issuer: issuer(), refreshToken: refreshToken ?? '', client });
const freshToken = async () => (await signIn({ issuer: issuer(), user: 'ada', organization: 'acme' })).refreshToken;

test('each refresh gives the next token, in the same session, and tells of it', async () => {
  const { refreshToken, claims } = await signIn({ issuer: issuer(), user: 'ada', organization: 'acme' });
  const first = await use(refreshToken);
  const second = await use(first.body.refresh_token);
  expect([first.status, second.status]).toEqual([200, 200]);
  expect(second.body.refresh_token).not.toBe(first.body.refresh_token);
  await expect
    .poll(() => harness.service.of(claims.sid).map((event) => event.type))
    .toEqual(['session.started', 'chain.started', 'session.refreshed', 'session.refreshed']);
});

test('of two uses of one token at once exactly one wins', async () => {
  for (const { refreshToken } of await signIns({ organizationId: 'acme', userId: 'ada', count: 40 })) {
    const answers = await Promise.all([use(refreshToken), use(refreshToken)]);
    expect(answers.map((answer) => answer.status).toSorted((a, b) => a - b)).toEqual([200, 400]);
  }
});

test('using an old token kills the chain: the newest one is dead too', async () => {
  const old = await freshToken();
  const { body } = await use(old);
  expect((await use(old)).body.error).toBe('invalid_grant');
  expect((await use(body.refresh_token)).body.error).toBe('invalid_grant');
});

test('a token of one client is no use to another', async () => {
  const token = await freshToken();
  expect((await use(token, 'mobile')).body.error).toBe('invalid_grant');
  expect((await use(token)).status).toBe(200);
});

test('a token that its client revoked is dead', async () => {
  const token = await freshToken();
  const revoked = await fetch(`${issuer()}/token/revocation`, {
    method: 'POST',
    body: new URLSearchParams({ token, client_id: 'web' }),
  });
  expect(revoked.status).toBe(200);
  expect((await use(token)).body.error).toBe('invalid_grant');
});

test('no secret that a client or browser holds is in the database', async () => {
  const { refreshToken, cookies } = await signIn({ issuer: issuer(), user: 'ada', organization: 'acme' });
  await signIn({
    issuer: issuer(),
    user: 'ada',
    organization: 'acme',
    cookies,
    client: 'mobile',
    continueSession: true,
  });
  const cookie = /_session=([^;]+)/.exec(cookies.header(new URL(issuer())))?.[1];
  expect(cookie).toBeDefined();
  const dump = await harness.sql<{ row: string }>(`
    select row_to_json(t)::text as row from auth_tokens t union all select row_to_json(t)::text from auth_artifacts t
    union all select row_to_json(t)::text from auth_chains t union all select row_to_json(t)::text from auth_sessions t`);
  const text = dump.map(({ row }) => row).join('\n');
  expect(text).not.toContain(refreshToken);
  expect(text).not.toContain(cookie);
});
