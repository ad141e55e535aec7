import type { JWTPayload } from 'jose';
import pg from 'pg';
import { expect, it, onTestFinished } from 'vitest';
import { call, eventually, tokens } from '../harness/client.ts';
import { event, report, started } from '../harness/events.ts';
import { useStack } from '../harness/stack.ts';
import { observer, terminate } from '../harness/terminations.ts';
import { expectAnswersDeclared } from './declared-answers.ts';
import { plantGrant } from './planted-organization.ts';

const stack = useStack({ worker: false });
expectAnswersDeclared(stack);

/** What a caller with these claims is told when they list the organization's terminations. */
async function admission(organizationId: string, claims: JWTPayload): Promise<string> {
  const { status, body } = await call(stack, 'GET', `/v1/organizations/${organizationId}/terminations`, {
    token: await stack.issuer.token(claims),
  });
  return status === 200 ? 'admitted' : `${status} ${String(body['code'])}`;
}
const secondsFromNow = (seconds: number) => Math.floor(Date.now() / 1_000) + seconds;

/** Staff signed in under a new grant of the organization. */
async function supportSession(
  organizationId: string,
  sessionId: string,
): Promise<{ grantId: string; claims: JWTPayload }> {
  const grantId = await plantGrant(stack, organizationId);
  await report(stack, [
    started({
      organizationId,
      userId: 'staff',
      sessionId,
      supportAccessGrantId: grantId,
      parentSession: { organizationId: 'vendor', sessionId: 'sid-of-staff' },
    }),
  ]);
  return {
    grantId,
    claims: { sub: 'staff', sid: sessionId, roles: ['global_admin'], support_access_grant_id: grantId },
  };
}
/** Every way in which a token may name where its support session lies. */
const homes = (organizationId: string): JWTPayload[] => [{ org_id: organizationId }, { org_id: 'vendor' }];

it('a support session that the customer ends is refused on its next call, whatever organization its token names', async () => {
  const { claims } = await supportSession('visited', 'visit-visited');
  for (const home of homes('visited')) expect(await admission('visited', { ...claims, ...home })).toBe('admitted');
  await terminate(stack, 'visited', 'sessions/visit-visited/terminate', { token: await observer(stack, 'visited') });
  for (const home of homes('visited'))
    expect(await admission('visited', { ...claims, ...home }), JSON.stringify(home)).toBe('401 session-ended');
});

it('a support session that a fence of the customer covers is refused, with and without a row', async () => {
  const { claims } = await supportSession('fenced', 'visit-fenced');
  const unreported = { ...claims, sid: 'never-reported', auth_time: secondsFromNow(-60) };
  for (const home of homes('fenced')) expect(await admission('fenced', { ...unreported, ...home })).toBe('admitted');
  await terminate(stack, 'fenced', 'sessions/terminate', { token: await observer(stack, 'fenced') });
  for (const home of homes('fenced'))
    for (const who of [claims, unreported])
      expect(await admission('fenced', { ...who, ...home }), JSON.stringify({ ...who, ...home })).toBe(
        '401 session-ended',
      );
});

it('a session that was opened under a grant counts with that grant alone, also where its token is silent about it', async () => {
  const { grantId, claims } = await supportSession('silent', 'visit-silent');
  const own = await plantGrant(stack, 'silent', { userId: 'staff' });
  const { support_access_grant_id: _, ...silent } = claims;
  for (const home of homes('silent'))
    for (const roles of [['global_admin'], ['org_admin'], []])
      expect(await admission('silent', { ...silent, ...home, roles })).toBe('admitted');
  await stack.database.query(
    `update support_access_grants set access_ended_at = current_instant(), end_reason = 'revoked' where id = $1`,
    [grantId],
  );
  for (const home of homes('silent'))
    for (const roles of [['global_admin'], ['org_admin'], []])
      expect(await admission('silent', { ...silent, ...home, roles })).toMatch(/^401 session-ended|^403/);
  expect(await admission('silent', { ...silent, sid: 'sid-of-staff', org_id: 'vendor' })).toBe('admitted');
  await stack.database.query(`update support_access_grants set expires_at = current_instant() where id = $1`, [own]);
  expect(await admission('silent', { ...silent, sid: 'sid-of-staff', org_id: 'vendor' })).toBe(
    '403 support-access-required',
  );
});

it('the grant of one organization opens no other, and one for somebody else opens nothing', async () => {
  const { claims } = await supportSession('narrow', 'visit-narrow');
  await plantGrant(stack, 'neighbour');
  await plantGrant(stack, 'narrow', { userId: 'colleague' });
  for (const home of [...homes('narrow'), { org_id: 'neighbour' }])
    expect(await admission('neighbour', { ...claims, ...home })).toBe('403 support-access-required');
  await plantGrant(stack, 'private', { userId: 'colleague' });
  expect(
    await admission('private', { sub: 'staff', roles: ['global_admin'], org_id: 'vendor', sid: 'sid-of-staff' }),
  ).toBe('403 support-access-required');
  expect(
    await admission('private', {
      sub: 'colleague',
      roles: ['global_admin'],
      org_id: 'vendor',
      sid: 'sid-of-colleague',
    }),
  ).toBe('admitted');
});

it('a session without a row is judged by when it began, against the fences of its user and organization', async () => {
  const caller = (began: number, claims: JWTPayload = {}) => ({
    sub: 'boss',
    roles: ['org_admin'],
    org_id: 'rowless',
    sid: 'unreported',
    auth_time: secondsFromNow(began),
    ...claims,
  });
  expect(await admission('rowless', caller(-60))).toBe('admitted');
  const token = await observer(stack, 'rowless');
  await terminate(stack, 'rowless', 'users/boss/sessions/terminate', { token });
  expect(await admission('rowless', caller(-60))).toBe('401 session-ended');
  // auth_time is when the session began; iat only where there is none
  expect(await admission('rowless', caller(-60, { iat: secondsFromNow(4) }))).toBe('401 session-ended');
  expect(await admission('rowless', caller(60))).toBe('admitted');
  expect(await admission('rowless', { ...caller(-60), auth_time: undefined, iat: secondsFromNow(-60) })).toBe(
    '401 session-ended',
  );
  expect(await admission('rowless', { ...caller(-60), sub: 'somebody-else' })).toBe('admitted');
  await terminate(stack, 'rowless', 'sessions/terminate', { token });
  expect(await admission('rowless', { ...caller(-60), sub: 'somebody-else' })).toBe('401 session-ended');
});

it('a session that a fence keeps stays admitted, with a row and without', async () => {
  await report(stack, [started({ organizationId: 'kept', userId: 'boss', sessionId: 'reported' })]);
  for (const sid of ['reported', 'unreported']) {
    const claims = { sub: 'boss', roles: ['org_admin'], org_id: 'kept', sid };
    await terminate(stack, 'kept', 'users/boss/sessions/terminate', {
      token: await stack.issuer.token(claims),
      body: { exceptSessionIds: ['reported', 'unreported'] },
    });
    expect(await admission('kept', claims)).toBe('admitted');
  }
  await terminate(stack, 'kept', 'users/boss/sessions/terminate', {
    token: await observer(stack, 'kept'),
    body: { exceptSessionIds: ['reported'] },
  });
  expect(await admission('kept', { sub: 'boss', roles: ['org_admin'], org_id: 'kept', sid: 'reported' })).toBe(
    'admitted',
  );
  expect(await admission('kept', { sub: 'boss', roles: ['org_admin'], org_id: 'kept', sid: 'unreported' })).toBe(
    '401 session-ended',
  );
});

it('nobody is admitted through a session of somebody else, or one that signed out', async () => {
  await report(stack, [started({ organizationId: 'borrowed', userId: 'grace', sessionId: 'hers' })]);
  const claims = { sub: 'grace', roles: ['org_admin'], org_id: 'borrowed', sid: 'hers' };
  expect(await admission('borrowed', claims)).toBe('admitted');
  expect(await admission('borrowed', { ...claims, sub: 'mallory' })).toBe('401 session-ended');
  await report(stack, [event('session.ended', { organizationId: 'borrowed', userId: 'grace', sessionId: 'hers' })]);
  expect(await admission('borrowed', claims)).toBe('401 session-ended');
});

it('ending a session in one organization does not end its namesake of another', async () => {
  await report(
    stack,
    ['here', 'there'].map((organizationId) => started({ organizationId, userId: 'grace', sessionId: 'same' })),
  );
  await terminate(stack, 'here', 'sessions/same/terminate', { token: await observer(stack, 'here') });
  expect(await admission('here', { sub: 'grace', roles: ['org_admin'], org_id: 'here', sid: 'same' })).toBe(
    '401 session-ended',
  );
  expect(await admission('there', { sub: 'grace', roles: ['org_admin'], org_id: 'there', sid: 'same' })).toBe(
    'admitted',
  );
});

it('settings’ machine acts in any organization unless its token names one', async () => {
  const flag = async (organization: string, token: string) =>
    (await call(stack, 'GET', `/v1/organizations/${organization}/support-access`, { token })).status;
  const [anywhere, bound] = [
    await tokens(stack.issuer).machine('support-access:manage'),
    await tokens(stack.issuer).machine('support-access:manage', 'bound'),
  ];
  expect([
    await flag('bound', anywhere),
    await flag('other', anywhere),
    await flag('bound', bound),
    await flag('other', bound),
  ]).toEqual([200, 200, 200, 403]);
});

it('a session without a row that began at the very instant of a cutoff is ended by it; a second later it is another', async () => {
  await terminate(stack, 'instant', 'users/boss/sessions/terminate', { token: await observer(stack, 'instant') });
  const [fence] = await stack.database.query<{ seconds: number }>(
    `update terminations set cutoff = date_trunc('second', cutoff) where organization_id = 'instant' returning extract(epoch from cutoff)::int as seconds`,
  );
  const began = (seconds: number) => ({
    sub: 'boss',
    roles: ['org_admin'],
    org_id: 'instant',
    sid: `began-${seconds}`,
    auth_time: (fence?.seconds ?? Number.NaN) + seconds,
  });
  expect(await admission('instant', began(0))).toBe('401 session-ended');
  expect(await admission('instant', began(1))).toBe('admitted');
});

it('a support session is the caller’s own where it is, also where its token names another organization as home', async () => {
  const { claims } = await supportSession('own-here', 'visit-own-here');
  for (const home of homes('own-here')) {
    const token = await stack.issuer.token({ ...claims, ...home });
    const { body } = await call<{ items: { id: string; current: boolean }[] }>(
      stack,
      'GET',
      '/v1/organizations/own-here/users/staff/sessions',
      { token },
    );
    expect(body.items, JSON.stringify(home)).toMatchObject([{ id: 'visit-own-here', current: true }]);
    await terminate(stack, 'own-here', 'sessions/terminate', { token });
    // it was kept
    expect(await admission('own-here', { ...claims, ...home })).toBe('admitted');
  }
});

it('a Global Admin’s termination waits for a revocation that is under way, and is refused by it', async () => {
  const grantId = await plantGrant(stack, 'waits');
  const revocation = new pg.Client({ connectionString: stack.database.url });
  await revocation.connect();
  onTestFinished(() => revocation.end());
  await revocation.query('begin');
  await revocation.query(
    `update support_access_grants set access_ended_at = current_instant(), end_reason = 'revoked' where id = $1`,
    [grantId],
  );
  let answered = false;
  const token = await tokens(stack.issuer).globalAdmin();
  const answer = terminate(stack, 'waits', 'users/grace/sessions/terminate', { token }).finally(
    () => (answered = true),
  );
  const waits = () =>
    stack.database.query(
      `select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and query like '%support_access_grants%'`,
    );
  await eventually(waits, (waiting) => waiting.length > 0 || answered);
  await revocation.query('commit');
  expect((await answer).status).toBe(403);
  expect(await stack.database.query(`select 1 from terminations where organization_id = 'waits'`)).toEqual([]);
});
