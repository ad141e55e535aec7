import { expect, it } from 'vitest';
import type { GrantView } from '../../src/rules/support-access-grant.ts';
import { call, eventually, tokens } from '../harness/client.ts';
import { report, started } from '../harness/events.ts';
import { useStack } from '../harness/stack.ts';
import { days, inMs, minutes, useGrants } from './use-grants.ts';

const stack = useStack();
const grants = useGrants(stack);
const times = <T>(n: number, work: (n: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: n }, (_, i) => work(i)));
const SIGN_INS = Number(process.env['RACING_SIGN_INS'] ?? 500);
const LANES = 16;

it('of many creators at once one gets the grant, and the others are told which', async () => {
  const wanted = { userId: null, expiresAt: inMs(minutes(60)) };
  const ask = () => grants.ask<{ id: string; grantId: string }>('POST', 'creators', 'support-access-grants', wanted);
  // on a busy machine the engine may not answer in time: nothing was granted then, and the caller asks again
  const answers = await times(10, () => eventually(ask, ({ status }) => status !== 503));
  const won = answers.filter(({ status }) => status === 201);
  expect(won).toHaveLength(1);
  for (const { status, body } of answers)
    if (status !== 201) expect([status, body.grantId]).toEqual([409, won[0]?.body.id]);
  expect((await grants.flag('creators')).liveGrants).toBe(1);
});

it('a change that races a revocation never brings a grant back', async () => {
  await times(10, async (n) => {
    const grant = await grants.create(`race-${n}`);
    const [changed, revoked] = await Promise.all([grants.change(grant, inMs(days(2))), grants.revoke(grant)]);
    expect(revoked.status).toBe(200);
    expect([200, 409]).toContain(changed.status);
    expect(await grants.check(`race-${n}`)).toMatchObject({ decision: 'deny', reason: 'revoked' });
    expect((await grants.change(grant, inMs(days(3)))).body).toMatchObject({ code: 'grant-ended' });
  });
});

it('two clients that change it at the last millisecond both succeed or both come too late, in order', async () => {
  await times(6, async (n) => {
    const organization = `last-${n}`;
    const grant = await grants.create(organization);
    const end = inMs(2_000);
    expect((await grants.change(grant, end)).status).toBe(200);
    await new Promise((resolve) => setTimeout(resolve, Date.parse(end) - Date.now() - 8 + n * 2));
    const ends = [inMs(minutes(30)), inMs(minutes(40))] as const;
    const answers = await Promise.all(ends.map((at) => grants.change(grant, at)));
    const now = await grants.read(grant);
    const won = answers.filter(({ status }) => status === 200);
    for (const { status, body } of answers) expect([200, 409], JSON.stringify(body)).toContain(status);
    expect(now.revision).toBe(2 + won.length);
    expect(now.expiresAt).toBe(
      won.length === 0 ? end : (won.toSorted((a, b) => b.body.revision - a.body.revision)[0]?.body.expiresAt ?? ''),
    );
    expect((await grants.check(organization)).decision).toBe(won.length === 0 ? 'deny' : 'allow');
  });
});

it('clearing the flag while grants are being created leaves none that was created before', async () => {
  await times(6, async (n) => {
    const organization = `clear-${n}`;
    const [created] = await Promise.all([
      grants.ask('POST', organization, 'support-access-grants', { userId: null, expiresAt: inMs(minutes(60)) }),
      grants.ask('DELETE', organization, 'support-access'),
    ]);
    expect([201, 409, 503]).toContain(created.status);
    const [row] = await stack.database.query<{ alive: boolean }>(
      'select starts_at is not null and access_ended_at is null as alive from support_access_grants where organization_id = $1',
      [organization],
    );
    if (created.status !== 201) expect(row?.alive ?? false).toBe(false);
  });
});

it('Global Admins that revoke the grant they act under, at once: one does, and the others have lost their right', async () => {
  await times(5, async (n) => {
    const grant = await grants.create(`mutual-${n}`);
    const path = grants.path(grant.organizationId, `support-access-grants/${grant.id}/revoke`);
    const answers = await times(4, async (i) =>
      call(stack, 'POST', path, { token: await tokens(stack.issuer).globalAdmin({ sub: `staff-${i}` }), body: {} }),
    );
    expect(answers.map(({ status }) => status).filter((status) => status === 200)).toHaveLength(1);
    expect(answers.map(({ status }) => status).filter((status) => status === 403)).toHaveLength(3);
  });
});

it(
  `${SIGN_INS} support sign-ins race the revocation of their grants: afterwards not one of them lives`,
  { timeout: 600_000 },
  async () => {
    const ORGANIZATIONS = Math.max(4, SIGN_INS / 50);
    const all: GrantView[] = [];
    for (let n = 0; n < ORGANIZATIONS; n++) all.push(await grants.create(`mass-${n}`));
    const outcomes: (string | undefined)[] = [];
    const signIn = async (grant: GrantView, n: number) => {
      const ids = {
        organizationId: grant.organizationId,
        userId: 'staff',
        sessionId: `s${n}`,
        chainId: `c${n}`,
        supportAccessGrantId: grant.id,
      };
      stack.authModule.chains.add(ids);
      const events = [started({ ...ids, parentSession: { organizationId: 'vendor', sessionId: 'home' } })];
      // as the Auth Module does: what was not answered is reported again
      const [result] = await eventually(
        () => report(stack, events).catch(() => []),
        (results) => results.length > 0,
      );
      outcomes.push(result?.outcome);
    };
    const revoke = async (grant: GrantView) => expect((await grants.revoke(grant)).status).toBe(200);
    // each revocation somewhere among the sign-ins under its grant, and as many at once as lanes
    const jobs = all
      .flatMap((grant) => [
        () => revoke(grant),
        ...Array.from({ length: SIGN_INS / ORGANIZATIONS }, (_, n) => () => signIn(grant, n)),
      ])
      .map((job) => ({ job, at: Math.random() }));
    jobs.sort((a, b) => a.at - b.at);
    await times(LANES, async () => {
      for (let next = jobs.pop(); next !== undefined; next = jobs.pop()) await next.job();
    });
    expect(outcomes).toHaveLength(SIGN_INS);
    for (const outcome of ['accepted', 'rejected']) expect(outcomes).toContain(outcome);
    expect(outcomes.filter((outcome) => !['accepted', 'duplicate', 'rejected'].includes(outcome ?? ''))).toEqual([]);
    const alive = await stack.database.query(
      `select id from session_states where support_access_grant_id is not null and over_at is null and organization_id like 'mass-%'`,
    );
    expect(alive).toEqual([]);
    await eventually(
      async () => stack.authModule.chains.alive().filter((chain) => chain.organizationId.startsWith('mass-')).length,
      (left) => left === 0,
      200_000,
    );
    for (const grant of all)
      expect(await grants.until(grant, 'ended', 100_000)).toMatchObject({ status: 'ended', endReason: 'revoked' });
  },
);
