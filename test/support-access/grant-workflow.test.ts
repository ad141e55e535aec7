import { expect, it } from 'vitest';
import { createSettleGrant } from '../../src/activities/support-access/settle-grant.ts';
import { openDatabase } from '../../src/database.ts';
import { grantWorkflowId } from '../../src/workflows/messages.ts';
import { eventually } from '../harness/client.ts';
import { useStack } from '../harness/stack.ts';
import { fastForward } from '../harness/time-skipping.ts';
import { inMs, minutes, useGrants } from './use-grants.ts';

const stack = useStack();
const grants = useGrants(stack);
const phase = (grant: { id: string }) =>
  grants
    .workflow(grant)
    .query<{ phase: string }>('state')
    .then((state) => state.phase);

it('the revoke signal alone revokes, in the name of who sent it', async () => {
  const grant = await grants.create('signal');
  await grants.signIn(grant, 's1');
  await grants.workflow(grant).signal('revoke', { revokedBy: 'ops@vendor' });
  const ended = await grants.until(grant, 'ended');
  expect(ended).toMatchObject({
    endReason: 'revoked',
    endedBy: { kind: 'operator', id: 'ops@vendor' },
    revision: 2,
    sessions: { total: 1, cleared: 1 },
  });
  const [termination] = await stack.database.query('select requested_by from terminations where organization_id = $1', [
    'signal',
  ]);
  expect(termination).toMatchObject({ requested_by: { kind: 'operator', id: 'ops@vendor' } });
});

it.each([[[]], [['text']], [[{ revokedBy: 'a\nb' }]], [[{ revokedBy: 'x'.repeat(256) }]], [[42]]])(
  'a revoke signal with %j revokes all the same',
  async (args) => {
    const organization = `odd-${JSON.stringify(args).length}`;
    const grant = await grants.create(organization);
    await grants.workflow(grant).signal('revoke', ...(args as []));
    expect(await grants.until(grant, 'ended')).toMatchObject({
      endReason: 'revoked',
      endedBy: { kind: 'operator', id: args[0] === 'text' ? 'text' : 'operator' },
    });
  },
);

it('lost, late, doubled and reordered signals change nothing', async () => {
  const grant = await grants.create('noise');
  for (let n = 0; n < 5; n++) await grants.workflow(grant).signal('changed');
  await grants.workflow(grant).signal('retry-now');
  expect(
    await eventually(
      () => phase(grant),
      (now) => now === 'active',
    ),
  ).toBe('active');
  // changed in the row alone, as if the signal had been lost: the workflow reads it at the old end
  await stack.database.query(
    `update support_access_grants set expires_at = expires_at + interval '1 hour' where id = $1`,
    [grant.id],
  );
  await fastForward(stack.temporal, grantWorkflowId(grant.id), 3_600);
  expect(await grants.check('noise')).toMatchObject({ decision: 'allow' });
  await grants.revoke(grant);
  await grants.until(grant, 'ended');
  await grants.workflow(grant).signal('revoke', { revokedBy: 'late' });
  await grants.workflow(grant).signal('changed');
  await eventually(
    () => phase(grant),
    (now) => now === 'cleared',
  );
  expect(await grants.read(grant)).toMatchObject({ endReason: 'revoked', endedBy: { kind: 'org-admin' }, revision: 2 });
  expect((await grants.actions('noise')).filter((action) => action === 'support-access.revoked')).toHaveLength(1);
});

it('cancelling the workflow revokes, and its clean-up is not cancelled', async () => {
  const grant = await grants.create('cancel');
  await grants.signIn(grant, 's1');
  await grants.workflow(grant).cancel();
  expect(await grants.until(grant, 'ended')).toMatchObject({
    endReason: 'revoked',
    endedBy: { kind: 'operator', id: 'workflow-cancellation' },
    sessions: { cleared: 1 },
  });
  await grants.workflow(grant).cancel();
  await fastForward(stack.temporal, grantWorkflowId(grant.id), 301);
  expect(await grants.closed(grant)).toBe('COMPLETED');
});

it('when revoking and expiry come together, revoking wins, and access ended at the end', async () => {
  const grant = await grants.create('tie');
  await grants.workflow(grant).terminate();
  // the look that its timer and the signal, or two of the timer and then the signal, would lead to
  const database = await openDatabase({ url: stack.database.url, applicationName: 'test' });
  const settle = createSettleGrant({ database });
  await stack.database.query(`update support_access_grants set expires_at = current_instant() where id = $1`, [
    grant.id,
  ]);
  const { expiresAt, endReason } = await grants.read(grant);
  expect(endReason).toBe('expired');
  expect(await settle({ grantId: grant.id, revokedBy: 'ops' })).toEqual({ state: 'ended' });
  expect(await settle({ grantId: grant.id, revokedBy: null })).toEqual({ state: 'ended' });
  await database.close();
  const ends = { endReason: 'revoked', accessEndedAt: expiresAt, endedBy: { kind: 'operator', id: 'ops' } };
  expect(await grants.read(grant)).toMatchObject(ends);
  expect((await grants.actions('tie')).filter((action) => /revoked|expired/.test(action))).toHaveLength(1);
});

it('a revoke signal and the timer in one task: one end, one fact', async () => {
  const grant = await grants.create('one-task');
  await stack.database.query(`update support_access_grants set expires_at = current_instant() where id = $1`, [
    grant.id,
  ]);
  await Promise.all([
    grants.workflow(grant).signal('revoke', { revokedBy: 'ops' }),
    fastForward(stack.temporal, grantWorkflowId(grant.id), 3_600),
  ]);
  await grants.until(grant, 'ended');
  expect((await grants.actions('one-task')).filter((action) => /revoked|expired/.test(action))).toHaveLength(1);
});

it('terminated by hand, the clock ends the access all the same and the dispatcher has the rest cleaned up', async () => {
  const grant = await grants.create('killed');
  await grants.signIn(grant, 's1');
  await grants.workflow(grant).terminate();
  await stack.database.moveClock(minutes(60));
  expect(await grants.check('killed')).toMatchObject({ decision: 'deny', reason: 'expired' });
  expect(await grants.read(grant)).toMatchObject({ status: 'ending', endReason: 'expired' });
  // a minute past its next look the row is told again, whatever happened to its workflow
  await stack.database.moveClock(minutes(2));
  expect(await grants.until(grant, 'ended')).toMatchObject({
    endReason: 'expired',
    sessions: { total: 1, cleared: 1 },
  });
  await stack.database.moveClock(-minutes(62));
});

it('terminated by hand while it clears, another run goes on from the row', async () => {
  const grant = await grants.create('killed-later');
  await grants.signIn(grant, 's1');
  const heal = stack.authModule.inject(
    { kind: 'status', status: 500 },
    { when: (call) => call.organizationId === 'killed-later' },
  );
  await grants.revoke(grant);
  await eventually(
    () => phase(grant),
    (now) => now === 'ending',
  );
  await eventually(
    () => stack.database.query(`select 1 from terminations where organization_id = 'killed-later'`),
    (found) => found.length > 0,
  );
  await grants.workflow(grant).terminate();
  heal();
  await stack.database.moveClock(minutes(8));
  expect(await grants.until(grant, 'ended')).toMatchObject({ endReason: 'revoked', endedBy: { kind: 'org-admin' } });
  await stack.database.moveClock(-minutes(8));
});

it('a session that no event ever told of is found by its grant, also one that comes back after all was cleared', async () => {
  const grant = await grants.create('untold');
  await grants.signIn(grant, 'ghost', { told: false });
  await grants.revoke(grant);
  expect(await grants.until(grant, 'ended')).toMatchObject({ sessions: { total: 1, cleared: 1 } });
  expect(stack.authModule.chains.alive('untold')).toEqual([]);
  stack.authModule.chains.resurrect('untold', 'chain-of-ghost');
  await fastForward(stack.temporal, grantWorkflowId(grant.id), 301);
  await eventually(
    () => Promise.resolve(stack.authModule.chains.alive('untold')),
    (alive) => alive.length === 0,
  );
  await grants.until(grant, 'ended');
  expect((await grants.actions('untold')).filter((action) => action === 'support-access.cleared')).toHaveLength(2);
});

it('moved sooner, a grant ends at its new end; moved later, not at its old one', async () => {
  const grant = await grants.create('moved', { expiresAt: inMs(minutes(60)) });
  const sooner = inMs(minutes(1));
  expect((await grants.change(grant, sooner)).body).toMatchObject({ expiresAt: sooner, revision: 2 });
  await grants.pass(grant, minutes(1));
  expect(await grants.until(grant, 'ended')).toMatchObject({ endReason: 'expired', accessEndedAt: sooner });
  await stack.database.moveClock(-minutes(1));
});
