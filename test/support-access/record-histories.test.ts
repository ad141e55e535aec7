/**
 * `RECORD_HISTORIES=1 npm test -- record-histories`: writes a history of every shape that has no file yet, for replay
 * against later code. What has one is never recorded again.
 */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { describe, it } from 'vitest';
import type { GrantView } from '../../src/rules/support-access-grant.ts';
import { type GrantState, grantState, grantWorkflowId, retryNow } from '../../src/workflows/messages.ts';
import { eventually } from '../harness/client.ts';
import { withoutRecorder } from '../harness/recorder.ts';
import { useStack } from '../harness/stack.ts';
import { fastForward } from '../harness/time-skipping.ts';
import { days, inMs, minutes, useGrants } from './use-grants.ts';

const directory = fileURLToPath(new URL('histories/', import.meta.url));

describe.runIf(process.env['RECORD_HISTORIES'])('recorded histories', () => {
  const stack = useStack();
  const grants = useGrants(stack);
  const create = (name: string) => grants.create(name, { reason: 'confidential', expiresAt: inMs(minutes(60)) });
  const write = async (name: string, grant: { id: string }) => {
    const file = `${directory}${name}.json`;
    if (existsSync(file)) return;
    mkdirSync(directory, { recursive: true });
    const history = historyToJSON(await grants.workflow(grant).fetchHistory());
    writeFileSync(file, `${withoutRecorder(history)}\n`);
  };
  // the row is ahead of the workflow: time that is moved before its timer has begun is lost to that timer
  const untilState = (grant: GrantView, wanted: Pick<GrantState, 'phase' | 'attempt'>) =>
    eventually(
      () => grants.workflow(grant).query(grantState),
      ({ phase, attempt }) => phase === wanted.phase && attempt === wanted.attempt,
    );
  const settle = async (grant: GrantView) => {
    await untilState(grant, { phase: 'cleared', attempt: 0 });
    await fastForward(stack.temporal, grantWorkflowId(grant.id), 302);
    await grants.closed(grant);
  };

  it('expiry', async () => {
    const grant = await create('expiry');
    await grants.pass(grant, minutes(61));
    await settle(grant);
    await write('expiry', grant);
    await stack.database.query('update test_clock set offset_ms = 0');
  });

  it('revoked, with sessions, changed before, and looked at again', async () => {
    const grant = await create('revoked');
    await grants.signIn(grant, 's1');
    await grants.change(grant, inMs(days(1)));
    await eventually(
      () => stack.database.query('select 1 from support_access_grants where delivered_revision = revision'),
      (told) => told.length > 0,
    );
    await grants.revoke(grant, { reason: 'confidential' });
    await settle(grant);
    await write('revoked', grant);
  });

  it('revoke signal', async () => {
    const grant = await create('signalled');
    await grants.workflow(grant).signal('revoke', { revokedBy: 'ops' });
    await settle(grant);
    await write('signalled', grant);
  });

  it('cancelled', async () => {
    const grant = await create('cancelled');
    await grants.workflow(grant).cancel();
    await settle(grant);
    await write('cancelled', grant);
  });

  it('a chain that came back', async () => {
    const grant = await create('resurfaced');
    await grants.signIn(grant, 's1');
    await grants.revoke(grant);
    await untilState(grant, { phase: 'cleared', attempt: 0 });
    stack.authModule.chains.resurrect('resurfaced', 'chain-of-s1');
    await fastForward(stack.temporal, grantWorkflowId(grant.id), 301);
    await eventually(
      () => Promise.resolve(stack.authModule.chains.alive('resurfaced').length),
      (alive) => alive === 0,
    );
    await settle(grant);
    await write('resurfaced', grant);
  });

  it('stalled: the Auth Module answers neither the brief look nor the first patient one', async () => {
    const grant = await create('stalled');
    // a refusal is patient from its first failure on: no look happens here but those that are asked for
    const heal = stack.authModule.inject(
      { kind: 'status', status: 403 },
      { when: (call) => call.organizationId === 'stalled' },
    );
    await grants.revoke(grant);
    await untilState(grant, { phase: 'ending', attempt: 1 });
    await fastForward(stack.temporal, grantWorkflowId(grant.id), 91); // the delay is 60 to 90 s, the next one 90 to 135 s
    await untilState(grant, { phase: 'ending', attempt: 2 });
    heal();
    await grants.workflow(grant).signal(retryNow);
    await settle(grant);
    await write('stalled', grant);
  });

  it('refused and still open', async () => {
    const open = await create('pair');
    await write('open', open);
    await stack.database.query(
      `update support_access_grants set access_ended_at = null, starts_at = null, voided_at = current_instant() where id = $1`,
      [open.id],
    );
    await grants.workflow(open).terminate();
    await stack.temporal.workflow.start('supportAccessGrant', {
      workflowId: grantWorkflowId(open.id),
      taskQueue: stack.config.temporal.taskQueue,
      args: [{ grantId: open.id }],
    });
    await grants.closed(open);
    await write('refused', open);
  });
});
