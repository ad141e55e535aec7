import { pino } from 'pino';
import { afterEach, describe, expect, inject, it } from 'vitest';
import { createActivateGrant } from '../../src/activities/support-access/activate-grant.ts';
import { openDatabase } from '../../src/database.ts';
import { startWorker } from '../../src/worker.ts';
import { eventually } from '../harness/client.ts';
import { type Stack, useStack } from '../harness/stack.ts';
import { inMs, minutes, useGrants } from './use-grants.ts';

const rowsOf = (stack: Stack, organization: string) =>
  stack.database.query<{ id: string; starts_at: Date | null; voided_at: Date | null }>(
    'select id, starts_at, voided_at from support_access_grants where organization_id = $1',
    [organization],
  );

/** A row as the request inserts it, `activateBefore` milliseconds from now. */
const insert = async (stack: Stack, organization: string, activateBefore: number): Promise<string> => {
  await stack.database.query('insert into organizations (id) values ($1) on conflict do nothing', [organization]);
  const [inserted] = await stack.database.query<{ id: string }>(
    `insert into support_access_grants (organization_id, created_by, created_at, activate_before, expires_at, progress_at, next_look_at, dispatch_after)
     select $1, '{"kind":"org-admin","id":"admin"}', n, n + $2 * interval '1 ms', n + interval '1 hour', n, n, n + $2 * interval '1 ms' + interval '1 minute'
     from (select current_instant() as n) x returning id`,
    [organization, activateBefore],
  );
  return inserted?.id ?? '';
};

describe('with the workflow engine away', () => {
  const stack = useStack({ worker: false, environment: { TEMPORAL_ADDRESS: '127.0.0.1:9' } });
  const grants = useGrants(stack, { worker: false });

  it('nothing is granted, neither by a grant nor by the flag, and the answer says so soon', async () => {
    const began = performance.now();
    const asked = await grants.ask<{ code: string }>(
      'POST',
      'away',
      'support-access-grants',
      { userId: null, expiresAt: inMs(minutes(60)) },
      { 'idempotency-key': 'once' },
    );
    expect([asked.status, asked.body.code, asked.headers.get('retry-after')]).toEqual([
      503,
      'workflow-engine-unavailable',
      '1',
    ]);
    expect((await grants.ask('PUT', 'away', 'support-access', { allowUntil: inMs(minutes(60)) })).status).toBe(503);
    expect(performance.now() - began).toBeLessThan(9_000);
    expect(await grants.check('away')).toMatchObject({ decision: 'deny', reason: 'no-grant' });
    expect(await grants.actions('away')).toEqual([]);
    expect((await rowsOf(stack, 'away')).map((row) => [row.starts_at, row.voided_at === null])).toEqual([
      [null, false],
      [null, false],
    ]);
    // the key decided nothing that lives, and is free for another try
    const again = await grants.ask<{ code: string }>(
      'POST',
      'away',
      'support-access-grants',
      { userId: null, expiresAt: inMs(minutes(61)) },
      { 'idempotency-key': 'once' },
    );
    expect(again.status).toBe(422);
  });

  it('the same request with the same key is tried again, not replayed', async () => {
    const body = { userId: null, expiresAt: inMs(minutes(60)) };
    for (let n = 0; n < 2; n++)
      expect((await grants.ask('POST', 'key', 'support-access-grants', body, { 'idempotency-key': 'k' })).status).toBe(
        503,
      );
    expect(await rowsOf(stack, 'key')).toHaveLength(2);
  });

  it('what is live is changed and revoked as ever', async () => {
    const id = await insert(stack, 'live', 5_000);
    await stack.database.query('update support_access_grants set starts_at = current_instant() where id = $1', [id]);
    const grant = { id, organizationId: 'live' };
    expect((await grants.change(grant, inMs(minutes(30)))).body).toMatchObject({ revision: 2 });
    expect((await grants.revoke(grant)).body).toMatchObject({ status: 'ending', endReason: 'revoked', revision: 3 });
    expect(await grants.check('live')).toMatchObject({ decision: 'deny', reason: 'revoked' });
  });
});

describe('with no worker', () => {
  const stack = useStack({ worker: false });
  const grants = useGrants(stack, { worker: false });
  const running: { shutdown(): void; done: Promise<void> }[] = [];
  afterEach(async () => {
    for (const worker of running.splice(0)) await (worker.shutdown(), worker.done);
    await stack.database.query('update test_clock set offset_ms = 0');
  });
  const work = async () => {
    const bundle = {
      workflowBundle: { codePath: inject('workflowBundlePath') },
      workflowsPath: undefined,
      shutdownGraceTime: 500,
      shutdownForceTime: 1_000,
    };
    running.push(await startWorker(stack.config, pino({ level: 'silent' }), bundle));
  };

  it('a grant that was answered with 503 never comes alive, not even when the worker is back', async () => {
    expect(
      (await grants.ask('POST', 'later', 'support-access-grants', { userId: null, expiresAt: inMs(minutes(60)) }))
        .status,
    ).toBe(503);
    await work();
    const [row] = await rowsOf(stack, 'later');
    expect(await grants.closed({ id: row?.id ?? '' })).toBe('COMPLETED');
    expect(await rowsOf(stack, 'later')).toMatchObject([{ starts_at: null }]);
    expect(await grants.check('later')).toMatchObject({ reason: 'no-grant' });
    expect(await grants.actions('later')).toEqual([]);
  });

  it('a row whose request died is voided a minute after its last chance, by whichever worker runs', async () => {
    await insert(stack, 'died', minutes(1));
    await work();
    await stack.database.moveClock(minutes(1));
    expect(await rowsOf(stack, 'died')).toMatchObject([{ voided_at: null }]);
    await stack.database.moveClock(minutes(2));
    await eventually(
      () => rowsOf(stack, 'died'),
      ([row]) => row?.voided_at != null,
    );
  });

  it('an activation is refused when it comes late, was voided, or meets a live grant; a repeat is none', async () => {
    const database = await openDatabase({ url: stack.database.url, applicationName: 'test' });
    const activate = createActivateGrant({ database });
    try {
      const late = await insert(stack, 'activate', 0);
      expect(await activate({ grantId: late })).toBe('late');
      const voided = await insert(stack, 'activate', 5_000);
      await grants.ask('DELETE', 'activate', 'support-access');
      expect(await activate({ grantId: voided })).toBe('refused');
      const [first, second] = [await insert(stack, 'activate', 5_000), await insert(stack, 'activate', 5_000)];
      expect((await Promise.all([first, second].map((grantId) => activate({ grantId })))).toSorted()).toEqual([
        'active',
        'refused',
      ]);
      expect((await Promise.all([first, second].map((grantId) => activate({ grantId })))).toSorted()).toEqual([
        'active',
        'refused',
      ]);
      expect(await activate({ grantId: '00000000-0000-7000-8000-000000000000' })).toBe('gone');
      expect((await rowsOf(stack, 'activate')).filter((row) => row.starts_at !== null)).toHaveLength(1);
      expect((await grants.actions('activate')).filter((action) => action === 'support-access.granted')).toHaveLength(
        1,
      );
    } finally {
      await database.close();
    }
  });
});
