import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, inject, it } from 'vitest';
import { freePort } from '../../local/ports.ts';
import { startTemporal, type Temporal } from '../../local/temporal-server.ts';
import { useStack } from '../harness/stack.ts';
import { inMs, minutes, useGrants } from './use-grants.ts';

const directory = mkdtempSync(join(tmpdir(), 'engine-outage-'));
let server: Temporal;
let port: number;
const start = async () => {
  server = await startTemporal({
    cli: inject('temporalCli'),
    port,
    namespace: 'default',
    dbFile: join(directory, 'temporal.db'),
  });
};
afterAll(async () => {
  await server.stop();
  rmSync(directory, { recursive: true, force: true });
});

const stack = useStack({
  environment: async () => {
    port = await freePort();
    await start();
    return { TEMPORAL_ADDRESS: server.address };
  },
});
const grants = useGrants(stack);

it('revoked while the workflow engine is down, a grant is off at once, and cleaned up when the engine is back', async () => {
  const asleep = await grants.create('asleep');
  await grants.signIn(asleep, 's1');
  const due = await grants.create('due', { expiresAt: inMs(minutes(6)) });
  await grants.signIn(due, 's2');
  await server.stop();
  expect((await grants.revoke(asleep)).body).toMatchObject({ status: 'ending', endReason: 'revoked' });
  expect(await grants.check('asleep')).toMatchObject({ decision: 'deny', reason: 'revoked' });
  // the other's end comes during the outage: the clock ends it all the same
  await stack.database.moveClock(minutes(6));
  expect(await grants.check('due')).toMatchObject({ decision: 'deny', reason: 'expired' });
  const denied = await grants.ask('POST', 'due', 'support-access-grants', {
    userId: 'ada',
    expiresAt: inMs(minutes(60)),
  });
  expect(denied.status).toBe(503);
  await start();
  expect(await grants.until(asleep, 'ended', 60_000)).toMatchObject({
    endReason: 'revoked',
    sessions: { total: 1, cleared: 1 },
  });
  // a minute past its next look the dispatcher wakes it: its own timer would only come in some minutes
  await stack.database.moveClock(minutes(2));
  expect(await grants.until(due, 'ended', 60_000)).toMatchObject({
    endReason: 'expired',
    accessEndedAt: due.expiresAt,
  });
  expect(stack.authModule.chains.alive()).toEqual([]);
});
