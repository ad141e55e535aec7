import { expect, it } from 'vitest';
import { signIn } from '../../reference-auth-module/client.ts';
import type { SessionView } from '../../src/rules/session.ts';
import type { TerminationView } from '../../src/rules/termination.ts';
import { eventually } from '../harness/client.ts';
import { useReferenceStack } from '../harness/reference-stack.ts';
import { type Caller, type Device, usePeople } from './people.ts';

const stack = useReferenceStack();
const people = usePeople(stack);

it('an admin signs in, sees a user’s two devices, ends one, then all; then the admin’s own session', async () => {
  // everybody comes in by the form, and every token is the Auth Module's own
  const enter = async (user: string, client: 'web' | 'mobile' = 'web'): Promise<Caller> => {
    const { accessToken, refreshToken, claims } = await signIn({
      issuer: stack.issuer,
      user,
      organization: 'acme',
      client,
    });
    return {
      token: accessToken,
      device: { sessionId: String(claims['sid']), chainId: '', refreshToken, clientId: client },
    };
  };
  const [ada, laptop, phone] = [await enter('ada'), await enter('linus'), await enter('linus', 'mobile')];
  const watcher = await people.admin('acme');
  const list = async () => {
    const { status, body, text } = await people.ask<{ items: SessionView[] }>(
      ada,
      'GET',
      '/v1/organizations/acme/users/linus/sessions',
    );
    expect(status, text).toBe(200);
    return body.items;
  };
  const end = async (path: string, body: object = {}): Promise<TerminationView> => {
    const answer = await people.ask<TerminationView>(ada, 'POST', `/v1/organizations/acme/${path}/terminate`, body, {
      prefer: 'wait=30',
    });
    // 202 at once where a busy machine could not deliver it within its half second
    expect([200, 202], answer.text).toContain(answer.status);
    return answer.status === 200 ? answer.body : people.completed(watcher, answer.body);
  };
  const alive = async (...devices: Device[]) => (await people.survivors(devices)).map((device) => device.sessionId);

  const [older, newer] = [laptop.device, phone.device];
  await eventually(
    list,
    (items) => items.length === 2 && items.every(({ refreshTokenChains }) => refreshTokenChains.alive === 1),
  );
  expect((await list()).map(({ id, client, userAgent, status }) => ({ id, client, userAgent, status }))).toEqual(
    [newer, older].map(({ sessionId, clientId }) => ({
      id: sessionId,
      client: clientId,
      userAgent: 'reference-auth-module-client',
      status: 'active',
    })),
  );
  expect(await alive(older, newer)).toEqual([older.sessionId, newer.sessionId]);

  await people.told();

  expect(await end(`sessions/${older.sessionId}`, { reason: 'lost laptop' })).toMatchObject({
    status: 'completed',
    scope: { kind: 'session', id: older.sessionId },
    sessions: { total: 1, pending: 0 },
    chains: { total: 1, confirmed: 1, alreadyDead: 0, pending: 0 },
  });
  expect((await list()).map(({ id }) => id)).toEqual([newer.sessionId]);
  expect(await alive(older, newer)).toEqual([newer.sessionId]);
  await people.told();

  expect(await end('users/linus/sessions')).toMatchObject({
    status: 'completed',
    scope: { kind: 'user', id: 'linus' },
    chains: { total: 1, confirmed: 1, pending: 0 },
  });
  expect(await list()).toEqual([]);
  expect(await alive(older, newer)).toEqual([]);
  // again: nothing is left to end, and that is no error
  expect(await end('users/linus/sessions')).toMatchObject({
    status: 'completed',
    chains: { total: 0 },
    sessions: { total: 0 },
  });

  expect(await end(`sessions/${ada.device.sessionId}`)).toMatchObject({ status: 'completed' });
  const next = await people.ask(ada, 'GET', '/v1/organizations/acme/users/linus/sessions');
  expect({ status: next.status, code: next.body['code'], type: next.headers.get('content-type') }).toMatchObject({
    status: 401,
    code: 'session-ended',
    type: expect.stringContaining('application/problem+json'),
  });
  expect(next.headers.get('www-authenticate')).toContain('Bearer');
  expect(await alive(ada.device)).toEqual([]);
  expect((await people.ask(await enter('ada'), 'GET', '/v1/organizations/acme/users/linus/sessions')).status).toBe(200);
});
