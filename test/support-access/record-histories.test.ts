/** `RECORD_HISTORIES=1 npm test -- record-histories`: writes one history of every shape, for replay against later code. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { describe, it } from 'vitest';
import type { GrantView } from '../../src/rules/support-access-grant.ts';
import { grantWorkflowId } from '../../src/workflows/messages.ts';
import { eventually } from '../harness/client.ts';
import { useStack } from '../harness/stack.ts';
import { fastForward } from '../harness/time-skipping.ts';
import { days, inMs, minutes, useGrants } from './use-grants.ts';

const directory = fileURLToPath(new URL('histories/', import.meta.url));

describe.runIf(process.env['RECORD_HISTORIES'])('recorded histories', () => {
  const stack = useStack();
  const grants = useGrants(stack);
  const create = (name: string) => grants.create(name, { reason: 'confidential', expiresAt: inMs(minutes(60)) });
  const write = async (name: string, grant: { id: string }) => {
    mkdirSync(directory, { recursive: true });
    const history = historyToJSON(await grants.workflow(grant).fetchHistory());
    writeFileSync(`${directory}${name}.json`, `${history}\n`);
  };
  const settle = async (grant: GrantView) => {
    await grants.until(grant, 'ended');
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
    await grants.until(grant, 'ended');
    stack.authModule.chains.resurrect('resurfaced', 'chain-of-s1');
    await fastForward(stack.temporal, grantWorkflowId(grant.id), 301);
    await eventually(
      () => Promise.resolve(stack.authModule.chains.alive('resurfaced').length),
      (alive) => alive === 0,
    );
    await settle(grant);
    await write('resurfaced', grant);
  });

  it('stalled: the Auth Module answers only in the patient phase', async () => {
    const grant = await create('stalled');
    const heal = stack.authModule.inject(
      { kind: 'status', status: 500 },
      { when: (call) => call.organizationId === 'stalled' },
    );
    await grants.revoke(grant);
    await fastForward(stack.temporal, grantWorkflowId(grant.id), 600);
    heal();
    await grants.workflow(grant).signal('retry-now');
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
