import { expect, it } from 'vitest';
import type { SupportAccessDecision } from '../../src/rules/support-access-grant.ts';
import { call, tokens } from '../harness/client.ts';
import { event, report, started } from '../harness/events.ts';
import { useStack } from '../harness/stack.ts';
import { inMs, minutes, useGrants } from './use-grants.ts';

const stack = useStack();
const grants = useGrants(stack);

it('who is not a Global Admin is not eligible, whatever is live', async () => {
  await grants.create('roles');
  for (const role of ['org_admin', 'GLOBAL_ADMIN', 'global_admin ', '', 'global_admin,org_admin']) {
    expect(await grants.check('roles', { role })).toEqual({
      decision: 'deny',
      reason: 'not-eligible',
      grantId: null,
      notAfter: null,
      maxAgeSeconds: 5,
    });
  }
});

it('without a grant there is no access, and none from another organization’s', async () => {
  await grants.create('neighbour');
  expect(await grants.check('nobody')).toEqual({
    decision: 'deny',
    reason: 'no-grant',
    grantId: null,
    notAfter: null,
    maxAgeSeconds: 5,
  });
});

it('a grant for one Global Admin is no use to another', async () => {
  const grant = await grants.create('named', { userId: 'ada' });
  expect(await grants.check('named', { userId: 'ada' })).toMatchObject({ decision: 'allow', grantId: grant.id });
  expect(await grants.check('named', { userId: 'bob' })).toMatchObject({ decision: 'deny', reason: 'no-grant' });
});

it('of several live grants the one that ends last is named; of past ones the latest says why', async () => {
  const short = await grants.create('several', { userId: 'ada', expiresAt: inMs(minutes(10)) });
  const long = await grants.create('several', { expiresAt: inMs(minutes(20)) });
  expect(await grants.check('several', { userId: 'ada' })).toMatchObject({
    grantId: long.id,
    notAfter: long.expiresAt,
  });
  await grants.revoke(long);
  expect(await grants.check('several', { userId: 'ada' })).toMatchObject({ decision: 'allow', grantId: short.id });
  await grants.revoke(short);
  expect(await grants.check('several', { userId: 'ada' })).toMatchObject({
    decision: 'deny',
    reason: 'revoked',
    grantId: short.id,
  });
  expect(await grants.check('several', { userId: 'bob' })).toMatchObject({
    decision: 'deny',
    reason: 'revoked',
    grantId: long.id,
  });
});

it('an answer is good for the seconds that are left, and no longer than five', async () => {
  const grant = await grants.create('seconds');
  const leave = (ms: number) =>
    stack.database.query('update test_clock set offset_ms = $1', [Date.parse(grant.expiresAt) - Date.now() - ms]);
  await leave(3_900);
  const first = await grants.check('seconds');
  expect(first.maxAgeSeconds).toBeGreaterThanOrEqual(1);
  expect(first.maxAgeSeconds).toBeLessThanOrEqual(3);
  await leave(900);
  const last = await grants.check('seconds');
  if (last.decision === 'allow') expect(last.maxAgeSeconds).toBe(0);
  await leave(0);
  expect(await grants.check('seconds')).toMatchObject({ decision: 'deny', reason: 'expired', maxAgeSeconds: 5 });
  await stack.database.query('update test_clock set offset_ms = 0');
});

it('a session counts with its own grant only, even where another is live', async () => {
  const named = await grants.create('own', { userId: 'staff' });
  await grants.signIn(named, 's1');
  const open = await grants.create('own', { expiresAt: inMs(minutes(90)) });
  expect(await grants.check('own', { sessionId: 's1' })).toMatchObject({
    decision: 'allow',
    grantId: named.id,
    notAfter: named.expiresAt,
  });
  expect(await grants.check('own', { sessionId: 'never-heard-of' })).toMatchObject({
    decision: 'allow',
    grantId: open.id,
  });
  await grants.revoke(named);
  expect(await grants.check('own', { sessionId: 's1' })).toMatchObject({
    decision: 'deny',
    reason: 'session-ended',
    grantId: null,
  });
  expect(await grants.check('own')).toMatchObject({ decision: 'allow', grantId: open.id });
});

it('a session that ended, or is somebody else’s, or another organization’s, is over', async () => {
  const grant = await grants.create('over');
  await grants.signIn(grant, 'mine');
  await grants.signIn(grant, 'out');
  await grants.signIn(grant, 'other', { userId: 'bob' });
  await report(stack, [started({ organizationId: 'elsewhere', userId: 'staff', sessionId: 'foreign' })]);
  await report(stack, [
    event('session.ended', {
      organizationId: 'over',
      userId: 'staff',
      sessionId: 'out',
      startedAt: new Date().toISOString(),
    }),
  ]);
  expect(await grants.check('over', { sessionId: 'mine' })).toMatchObject({ decision: 'allow' });
  for (const sessionId of ['out', 'other', 'foreign'])
    expect(await grants.check('over', { sessionId }), sessionId).toMatchObject({
      decision: 'deny',
      reason: 'session-ended',
    });
  // an organization's own session that was not opened under a grant gives no access
  await report(stack, [started({ organizationId: 'over', userId: 'staff', sessionId: 'plain' })]);
  expect(await grants.check('over', { sessionId: 'plain' })).toMatchObject({ decision: 'deny', reason: 'no-grant' });
});

it('a machine of one organization cannot tell a session of another from one that nobody knows', async () => {
  await report(stack, [
    started({ organizationId: 'oracle-elsewhere', userId: 'staff', sessionId: 'alive-elsewhere' }),
    started({ organizationId: 'oracle-elsewhere', userId: 'staff', sessionId: 'ended-elsewhere' }),
    event('session.ended', { organizationId: 'oracle-elsewhere', userId: 'staff', sessionId: 'ended-elsewhere' }),
  ]);
  const token = await tokens(stack.issuer).machine('support-access:check', 'oracle');
  const ask = async (sessionId: string) => {
    const body = { organizationId: 'oracle', userId: 'staff', role: 'global_admin', sessionId };
    const answer = await call<SupportAccessDecision>(stack, 'POST', '/v1/support-access/check', { token, body });
    return { decision: answer.body.decision, reason: answer.body.reason, grantId: answer.body.grantId };
  };
  for (const isGranted of [false, true]) {
    const expected = isGranted
      ? { reason: 'granted', grantId: (await grants.create('oracle')).id }
      : { reason: 'no-grant' };
    const ofUnknown = await ask('never-heard-of');
    expect(ofUnknown).toMatchObject(expected);
    expect(await ask('alive-elsewhere')).toEqual(ofUnknown);
    expect(await ask('ended-elsewhere')).toEqual(ofUnknown);
  }
});

it('a support session dies with the staff member’s own session', async () => {
  await report(stack, [started({ organizationId: 'vendor', userId: 'staff', sessionId: 'sid-of-staff' })]);
  const grant = await grants.create('parent');
  await grants.signIn(grant, 'child');
  expect(await grants.check('parent', { sessionId: 'child' })).toMatchObject({ decision: 'allow' });
  await report(stack, [
    event('session.ended', {
      organizationId: 'vendor',
      userId: 'staff',
      sessionId: 'sid-of-staff',
      startedAt: new Date().toISOString(),
    }),
  ]);
  expect(await grants.check('parent', { sessionId: 'child' })).toMatchObject({
    decision: 'deny',
    reason: 'session-ended',
  });
});

it('nobody may keep an answer, and only the scope for it may ask', async () => {
  const ask = async (token: string | null, body: unknown) =>
    call(stack, 'POST', '/v1/support-access/check', { token, body });
  const question = { organizationId: 'acme', userId: 'staff', role: 'global_admin' };
  const answer = await ask(await tokens(stack.issuer).machine('support-access:check'), question);
  expect(answer.headers.get('cache-control')).toContain('no-store');
  expect((await ask(await grants.admin('acme'), question)).status).toBe(403);
  expect((await ask(await tokens(stack.issuer).machine('support-access:manage'), question)).status).toBe(403);
  expect((await ask(await tokens(stack.issuer).machine('support-access:check', 'other'), question)).body).toMatchObject(
    { code: 'role-required' },
  );
  expect((await ask(null, question)).status).toBe(401);
});

it('of many who ask in the same moment each gets the answer that is theirs alone', async () => {
  const staff = ['ada', 'bob', 'cleo'];
  const crowd: { organization: string; userId: string; sessionId?: string }[] = [];
  for (const [n, userId] of staff.entries()) {
    const organization = `crowd-${n}`;
    const grant = await grants.create(organization, { userId });
    await grants.signIn(grant, `s-${n}`, { userId });
    for (const asker of staff)
      crowd.push({ organization, userId: asker }, { organization, userId: asker, sessionId: `s-${n}` });
  }
  const ask = ({ organization, ...question }: (typeof crowd)[number]) => grants.check(organization, question);
  const oneByOne: SupportAccessDecision[] = [];
  for (const question of crowd) oneByOne.push(await ask(question));
  expect(new Set(oneByOne.map(({ decision, reason }) => `${decision} ${reason}`))).toEqual(
    new Set(['allow granted', 'deny no-grant', 'deny session-ended']),
  );
  const many = Array.from({ length: 20 }, () => crowd).flat();
  const answers = await Promise.all(many.map(ask));
  const whatMatters = ({ decision, reason, grantId, notAfter }: SupportAccessDecision) => ({
    decision,
    reason,
    grantId,
    notAfter,
  });
  const expected = oneByOne.map(whatMatters);
  expect(answers.map(whatMatters)).toEqual(many.map((_, n) => expected[n % expected.length]));
});
