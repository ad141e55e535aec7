import { beforeEach, describe, expect, it } from 'vitest';
import { call } from '../harness/client.ts';
import { report, started } from '../harness/events.ts';
import { useStack } from '../harness/stack.ts';
import { listSessions, signIn, terminate, untilCompleted, untilVerified } from '../harness/terminations.ts';

const stack = useStack({ environment: { VERIFY_AFTER_SECONDS: '1', ACCESS_TOKEN_TTL_SECONDS: '2' } });
const TEN_MINUTES = 600_000;
const set = (ms: number) => stack.database.query('update test_clock set offset_ms = $1', [ms]);
beforeEach(() => set(0));

/** Five seconds from now by every clock that is right: past the two seconds for which a fence of a wrong clock holds. */
const soon = (ms = 5_000) => new Date(Date.now() + ms).toISOString();
const session = (organizationId: string, sessionId: string, startedAt?: string) => ({
  organizationId,
  userId: 'grace',
  sessionId,
  chainIds: [sessionId],
  ...(startedAt === undefined ? {} : { startedAt }),
});
const five = (organizationId: string) => [1, 2, 3, 4, 5].map((n) => session(organizationId, `s${n}`));
const active = async (organizationId: string) =>
  (await listSessions(stack, organizationId, 'grace')).map(({ id }) => id).toSorted();
const alive = (organizationId: string) =>
  stack.authModule.chains
    .alive(organizationId)
    .map(({ chainId }) => chainId)
    .toSorted();
const scopes = [
  ['user', 'users/grace/sessions/terminate'],
  ['organization', 'sessions/terminate'],
] as const;

describe.each(scopes)('the database’s clock is set ten minutes back: the end of a whole %s', (kind, path) => {
  it('ends every session that is recorded, and every chain', async () => {
    const org = `back-${kind}`;
    await signIn(stack, ...five(org));
    await set(-TEN_MINUTES);
    const { body } = await terminate(stack, org, path, { prefer: 'wait=20' });
    expect(body).toMatchObject({ status: 'completed', sessions: { total: 5 }, chains: { total: 5, confirmed: 5 } });
    expect(await active(org)).toEqual([]);
    expect(alive(org)).toEqual([]);
  });

  it('harms nobody who signs in afterwards, nor once the clock is right again', async () => {
    const org = `back-after-${kind}`;
    await signIn(stack, ...five(org));
    await set(-TEN_MINUTES);
    const { body } = await terminate(stack, org, path, { prefer: 'wait=20' });
    await signIn(stack, session(org, 'while-back', soon()));
    await set(0);
    await signIn(stack, session(org, 'right-again', soon()));
    await untilVerified(stack, body);
    expect(await active(org)).toEqual(['right-again', 'while-back']);
    expect(alive(org)).toEqual(['right-again', 'while-back']);
  });

  it('has a cutoff that is not before an earlier one', async () => {
    const org = `back-cutoff-${kind}`;
    const first = await terminate(stack, org, path, { prefer: 'wait=20' });
    await set(-TEN_MINUTES);
    const second = await terminate(stack, org, path, { prefer: 'wait=20' });
    expect(second.body.id).not.toBe(first.body.id);
    expect(Date.parse(second.body.cutoff)).toBeGreaterThanOrEqual(Date.parse(first.body.cutoff));
  });
});

describe.each(scopes)(
  'the database’s clock was ten minutes ahead and is right again: the end of a whole %s',
  (kind, path) => {
    it('when it was ahead: who signs in now is accepted and never swept; who signed in before, told late, is refused', async () => {
      const org = `ahead-${kind}`;
      const before = new Date().toISOString();
      await signIn(stack, ...five(org));
      await set(TEN_MINUTES);
      const { body } = await terminate(stack, org, path, { prefer: 'wait=20' });
      await set(0);
      await signIn(stack, session(org, 'after', soon()));
      // no event ever tells of this one
      stack.authModule.chains.add({ ...session(org, 'untold'), chainId: 'untold', sessionStartedAt: soon() });
      expect(
        await report(stack, [started({ ...session(org, 'late', before), chainIds: undefined } as never)]),
      ).toMatchObject([{ outcome: 'rejected' }]);
      await untilVerified(stack, body);
      // what was told late is a termination of its own, which has the same false fence
      const again = await terminate(stack, org, `${path.replace('/terminate', '')}/terminate`, {
        body: { exceptSessionIds: ['after', 'untold'] },
        prefer: 'wait=20',
      });
      await untilVerified(stack, again.body);
      expect(await active(org)).toEqual(['after']);
      expect(alive(org)).toEqual(['after', 'untold']);
    });

    it('when it is right: what was recorded while it was ahead is over, and who signs in next is not', async () => {
      const org = `was-ahead-${kind}`;
      await set(TEN_MINUTES);
      await signIn(stack, ...five(org), session(org, 'stamped-ahead', soon(TEN_MINUTES)));
      await set(0);
      const { body } = await terminate(stack, org, path, { prefer: 'wait=20' });
      expect(body).toMatchObject({ status: 'completed', sessions: { total: 6 }, chains: { total: 6 } });
      expect(await active(org)).toEqual([]);
      await signIn(stack, session(org, 'after', soon()));
      await untilVerified(stack, body);
      expect(await active(org)).toEqual(['after']);
      expect(alive(org)).toEqual(['after']);
    });

    it('one start stamped 2199 is over and carries no fence there', async () => {
      const org = `forged-${kind}`;
      await signIn(stack, session(org, 'forged', '2199-01-01T00:00:00.000Z'));
      const { body } = await terminate(stack, org, path, { prefer: 'wait=20' });
      expect(Date.parse(body.cutoff)).toBeLessThan(Date.now() + 1_000);
      expect(await active(org)).toEqual([]);
      await signIn(stack, session(org, 'after', soon()));
      expect(await active(org)).toEqual(['after']);
    });
  },
);

it('the end of one session is not before its start, wherever the clock is', async () => {
  await signIn(stack, session('one', 's1'));
  await set(-TEN_MINUTES);
  const { body } = await terminate(stack, 'one', 'sessions/s1/terminate', { prefer: 'wait=20' });
  expect(body).toMatchObject({ status: 'completed', sessions: { total: 1 }, chains: { confirmed: 1 } });
  const [ended] = await listSessions(stack, 'one', 'grace', 'ended');
  expect(Date.parse(ended?.endedAt ?? '')).toBeGreaterThanOrEqual(Date.parse(ended?.startedAt ?? ''));
  expect(Date.parse(body.cutoff)).toBeGreaterThanOrEqual(Date.parse(ended?.startedAt ?? ''));
});

it('a caller whose session has no row is admitted once the clock is right again, and refused where they signed in before', async () => {
  const admission = async (began: number) =>
    (
      await call(stack, 'GET', '/v1/organizations/rowless/terminations', {
        token: await stack.issuer.token({
          sub: 'grace',
          roles: ['org_admin'],
          org_id: 'rowless',
          sid: `unreported-${began}`,
          auth_time: Math.floor(Date.now() / 1_000) + began,
        }),
      })
    ).status;
  await set(TEN_MINUTES);
  const { body } = await terminate(stack, 'rowless', 'sessions/terminate', { prefer: 'respond-async' });
  await set(0);
  expect(await admission(-60)).toBe(401);
  expect(await admission(5)).toBe(200);
  await untilCompleted(stack, body);
  expect(await admission(-60)).toBe(401);
  // not only until the false fence has passed: it was completed while the clock showed less
  await set(TEN_MINUTES + 60_000);
  expect(await admission(5)).toBe(200);
  expect(await admission(-60)).toBe(401);
});
