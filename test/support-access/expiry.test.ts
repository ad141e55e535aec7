import { afterEach, expect, it } from 'vitest';
import { grantWorkflowId } from '../../src/workflows/messages.ts';
import { eventually } from '../harness/client.ts';
import { useStack } from '../harness/stack.ts';
import { listSessions } from '../harness/terminations.ts';
import { fastForward } from '../harness/time-skipping.ts';
import { days, inMs, minutes, useGrants } from './use-grants.ts';

const stack = useStack();
const grants = useGrants(stack);
afterEach(() => stack.database.query('update test_clock set offset_ms = 0'));

it('a grant of 30 days ends by itself, and what was opened under it is confirmed dead', async () => {
  const grant = await grants.create('acme', { expiresAt: inMs(days(29.9)), reason: 'ticket 7' });
  expect(grant).toMatchObject({
    status: 'active',
    userId: null,
    revision: 1,
    endedBy: null,
    sessions: { total: 0, cleared: 0 },
  });
  expect(await grants.signIn(grant, 's1')).toMatchObject({ outcome: 'accepted' });
  expect(await grants.check('acme')).toMatchObject({
    decision: 'allow',
    reason: 'granted',
    grantId: grant.id,
    notAfter: grant.expiresAt,
    maxAgeSeconds: 5,
  });
  // not further: whatever time is left over is skipped in what comes after, too
  await grants.pass(grant, days(29.9) + 5_000);
  const ended = await grants.until(grant, 'ended');
  expect(ended).toMatchObject({
    endReason: 'expired',
    accessEndedAt: grant.expiresAt,
    endedBy: { kind: 'system' },
    sessions: { total: 1, cleared: 1 },
  });
  expect(stack.authModule.chains.isAlive('acme', 'chain-of-s1')).toBe(false);
  // as the list said from the grant's end on, before anybody had confirmed anything
  expect(await listSessions(stack, 'acme', 'staff', 'ended')).toMatchObject([
    {
      id: 's1',
      endReason: 'support-access-ended',
      endedAt: grant.expiresAt,
      terminationId: expect.any(String) as string,
    },
  ]);
  expect(await grants.check('acme')).toMatchObject({
    decision: 'deny',
    reason: 'expired',
    grantId: grant.id,
    notAfter: null,
  });
  expect(await grants.actions('acme')).toEqual([
    'support-access.granted',
    'support-access.session-started',
    'support-access.expired',
    'termination.requested',
    'termination.completed',
    'support-access.cleared',
  ]);
  await grants.pass(grant, 301_000);
  expect(await grants.closed(grant)).toBe('COMPLETED');
});

it('a grant without sessions costs no child and two workflow tasks after its timer', async () => {
  const grant = await grants.create('bare');
  // less than a minute past its end, where the dispatcher would think its workflow silent and wake it once more
  await grants.pass(grant, minutes(60) + 5_000);
  await grants.until(grant, 'ended');
  // answered after the task that cleared it: what came in the middle of one would cost another
  await grants.workflow(grant).query('state');
  await grants.pass(grant, 301_000);
  expect(await grants.closed(grant)).toBe('COMPLETED');
  const { events } = await grants.workflow(grant).fetchHistory();
  const kinds = (events ?? []).map((event) => event.eventType as unknown as number);
  const TIMER_FIRED = 18;
  const WORKFLOW_TASK_COMPLETED = 7;
  const [ACTIVITY_SCHEDULED, CHILD_INITIATED] = [10, 29];
  const after = kinds.slice(kinds.indexOf(TIMER_FIRED));
  expect(after.filter((kind) => kind === WORKFLOW_TASK_COMPLETED).length).toBeLessThanOrEqual(2);
  expect(kinds).not.toContain(ACTIVITY_SCHEDULED);
  expect(kinds).not.toContain(CHILD_INITIATED);
  expect(await stack.database.query(`select 1 from terminations where organization_id = 'bare'`)).toEqual([]);
});

it.each([
  ['behind', -5_000],
  ['ahead', 5_000],
])(
  'with the database clock 5 s %s of the workflow engine’s, access ends by the database’s, to the millisecond',
  async (_, offset) => {
    const organization = `clock-${offset}`;
    const grant = await grants.create(organization);
    // the engine's timer fires at the end by its own clock; the database's is `offset` away from it
    await stack.database.moveClock(Date.parse(grant.expiresAt) - Date.now() + offset);
    await fastForward(stack.temporal, grantWorkflowId(grant.id), 3_602);
    expect(await grants.check(organization)).toMatchObject(
      offset < 0 ? { decision: 'allow', reason: 'granted' } : { decision: 'deny', reason: 'expired' },
    );
    expect(await grants.until(grant, 'ended')).toMatchObject({ endReason: 'expired', accessEndedAt: grant.expiresAt });
    expect(await grants.check(organization)).toMatchObject({ decision: 'deny', reason: 'expired' });
  },
);

it('from the instant of expiry on access is off, whether or not anybody has marked it', async () => {
  const grant = await grants.create('unmarked');
  await stack.database.moveClock(minutes(60));
  expect(await grants.check('unmarked')).toMatchObject({ decision: 'deny', reason: 'expired' });
  expect(await grants.read(grant)).toMatchObject({
    status: 'ending',
    endReason: 'expired',
    accessEndedAt: grant.expiresAt,
    stalled: false,
    endedBy: { kind: 'system' },
  });
  expect(await grants.flag('unmarked')).toEqual({
    allowed: false,
    allowUntil: null,
    timeZone: null,
    grantId: null,
    liveGrants: 0,
  });
  expect((await grants.change(grant, inMs(minutes(120)))).body).toMatchObject({ code: 'grant-ended' });
  const next = await grants.create('unmarked', { expiresAt: inMs(minutes(120)) });
  expect(await grants.read(grant)).toMatchObject({ endReason: 'expired' });
  expect(await grants.check('unmarked')).toMatchObject({ decision: 'allow', grantId: next.id });
});

it('a support session is never shown to last longer than its grant, and use never moves the end', async () => {
  const grant = await grants.create('shown');
  await grants.signIn(grant, 's1');
  const list = await grants.ask<{ items: { expiresAt: string }[] }>('GET', 'shown', 'users/staff/sessions');
  expect(list.body.items).toMatchObject([{ id: 's1', supportAccessGrantId: grant.id, expiresAt: grant.expiresAt }]);
  for (let n = 0; n < 5; n++) await grants.check('shown', { sessionId: 's1' });
  expect(await grants.read(grant)).toMatchObject({ expiresAt: grant.expiresAt, revision: 1 });
  const sooner = inMs(minutes(10));
  expect((await grants.change(grant, sooner)).status).toBe(200);
  expect(await grants.check('shown', { sessionId: 's1' })).toMatchObject({ decision: 'allow', notAfter: sooner });
});

it('an Auth Module that is away for a day holds up nothing but the confirmation, which comes when it is back', async () => {
  const grant = await grants.create('away');
  await grants.signIn(grant, 's1');
  await grants.signIn(grant, 'untold', { told: false });
  const heal = stack.authModule.inject(
    { kind: 'status', status: 500 },
    { when: (call) => call.organizationId === 'away' },
  );
  expect((await grants.revoke(grant)).body).toMatchObject({ status: 'ending', endReason: 'revoked', stalled: false });
  expect(await grants.check('away')).toMatchObject({ decision: 'deny', reason: 'revoked' });
  // its clock runs from here on: a termination that began only after time was moved would have made progress just then
  const [termination] = await eventually(
    () =>
      stack.database.query<{ id: string }>(
        `select id from terminations where organization_id = 'away' and scope_kind = 'grant'`,
      ),
    (found) => found.length > 0,
  );
  await stack.database.moveClock(minutes(3));
  expect(await grants.read(grant)).toMatchObject({
    status: 'ending',
    stalled: true,
    sessions: { total: 1, cleared: 0 },
  });
  await grants.pass(grant, days(1));
  expect(await grants.read(grant)).toMatchObject({ status: 'ending', stalled: true });
  heal();
  const retry = () => stack.temporal.workflow.getHandle(`termination:${termination?.id}`).signal('retry-now');
  await eventually(
    () =>
      retry().then(
        () => true,
        () => false,
      ),
    Boolean,
  );
  expect(await grants.until(grant, 'ended')).toMatchObject({ sessions: { total: 2, cleared: 2 } });
  expect(stack.authModule.chains.alive('away')).toEqual([]);
});

it('a grant that was shown as expired stays so, though it is revoked before anybody has marked it', async () => {
  const grant = await grants.create('long-over');
  await grants.workflow(grant).terminate();
  await stack.database.moveClock(minutes(60) + 10_000);
  expect(await grants.read(grant)).toMatchObject({ status: 'ending', endReason: 'expired' });
  expect((await grants.revoke(grant)).body).toMatchObject({ endReason: 'expired', accessEndedAt: grant.expiresAt });
  expect(await grants.check('long-over')).toMatchObject({ decision: 'deny', reason: 'expired' });
});
