import { expect, it } from 'vitest';
import { call, tokens } from '../harness/client.ts';
import { report, started } from '../harness/events.ts';
import { useStack } from '../harness/stack.ts';
import { signIn, terminate, untilVerified } from '../harness/terminations.ts';

const stack = useStack({ environment: { VERIFY_AFTER_SECONDS: '1', ACCESS_TOKEN_TTL_SECONDS: '1' } });
const daysAhead = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString();

it('a machine that speaks for one organization moves the clock of no other', async () => {
  await terminate(stack, 'victim', 'users/carol/sessions/terminate', { prefer: 'wait=10' });
  const carol = await stack.issuer.token({
    sub: 'carol',
    roles: ['org_admin'],
    org_id: 'victim',
    sid: 'carol-home',
    auth_time: Math.floor(Date.now() / 1_000) + 2,
  });
  const ask = async () =>
    (await call(stack, 'GET', '/v1/organizations/victim/users/x/sessions', { token: carol })).status;
  expect(await ask()).toBe(200);
  const token = await tokens(stack.issuer).machine('sessions:ingest', 'mallory');
  const body = { sentAt: daysAhead(19), events: [{ nonsense: true }] };
  expect((await call(stack, 'POST', '/v1/session-events', { token, body })).status).toBe(200);
  expect(await ask()).toBe(200);
  await terminate(stack, 'victim', 'users/dan/sessions/terminate', { prefer: 'wait=10' });
  const searches = stack.authModule.calls.filter(
    (each) => each.endpoint === 'search' && each.organizationId === 'victim',
  );
  for (const { body: search } of searches)
    expect((search as { sessionStartedAtOrBefore: string }).sessionStartedAtOrBefore < daysAhead(1)).toBe(true);
});

it('a clock that was ahead longer than ten minutes ago harms nobody who signs in after the fence', async () => {
  await stack.database.query(
    `insert into auth_module_leads (organization_id, minute, ahead_ms) values ('', now() - interval '10 minutes', 30000)`,
  );
  const own = { organizationId: 'stale', userId: 'eve' };
  await signIn(stack, { ...own, sessionId: 's1', chainIds: ['old'] });
  const ended = await terminate(stack, 'stale', 'users/eve/sessions/terminate', { prefer: 'wait=10' });
  const late = { ...own, sessionId: 's2', chainId: 'new', startedAt: new Date(Date.now() + 50).toISOString() };
  stack.authModule.chains.add({ ...late, sessionStartedAt: late.startedAt });
  await untilVerified(stack, ended.body);
  expect(stack.authModule.chains.isAlive('stale', 'new')).toBe(true);
  expect(await report(stack, [started(late)])).toMatchObject([{ outcome: 'accepted' }]);
});
