import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { GrantView } from '../../src/rules/support-access-grant.ts';
import { grantWorkflowId } from '../../src/workflows/messages.ts';
import type { Call } from '../auth-module/faults.ts';
import { type Answer, eventually } from '../harness/client.ts';
import { launchProcess, type ServiceProcess } from '../harness/service-process.ts';
import { useStack } from '../harness/stack.ts';
import { fastForward } from '../harness/time-skipping.ts';
import { freeze, holdDecisions } from './stopped-worker.ts';
import { inMs, minutes, useGrants } from './use-grants.ts';

// what is held at the Auth Module stays there until the test lets it go
const stack = useStack({ worker: false, environment: { AUTH_MODULE_TIMEOUT_MS: '60000' } });
const grants = useGrants(stack, { worker: false });
const steps = ['armed', 'changed', 'revoked', 'expiring', 'clearing', 'cleared'] as const;
const at = {} as Record<(typeof steps)[number], GrantView>;
let neverGranted: Answer<unknown>;
let worker: ServiceProcess | undefined;
let looksBefore: number;
const looks = (organization: string) =>
  stack.authModule.calls.filter((call) => call.organizationId === organization && call.endpoint === 'search').length;

const hasFired = async (grant: GrantView) =>
  (await grants.workflow(grant).fetchHistory()).events?.some((event) => event.timerFiredEventAttributes != null);

/** At the step before the last: what comes next is asked of a worker that no longer answers. */
async function open(): Promise<void> {
  for (const step of steps) {
    at[step] = await grants.create(step, { expiresAt: inMs(minutes(step === 'expiring' ? 6 : 60)) });
    await grants.signIn(at[step], `session-${step}`);
  }
  await grants.signIn(at.clearing, 'untold', { told: false });
  await grants.revoke(at.cleared);
  at.cleared = await grants.until(at.cleared, 'ended');
}

/** The Auth Module has the call, and acts on it when it is let. */
async function clear() {
  const answer = Promise.withResolvers<void>();
  const isHeld = (call: Call) => call.organizationId === 'clearing' && call.endpoint === 'invalidate';
  stack.authModule.inject({ kind: 'held', until: answer.promise }, { when: isHeld });
  await grants.revoke(at.clearing);
  await eventually(() => Promise.resolve(stack.authModule.calls.some(isHeld)), Boolean);
  return answer;
}

/** The request is at the worker, and the worker at the database. */
async function activate() {
  const decisions = await holdDecisions(stack.database, 'activating');
  const body = { userId: null, expiresAt: inMs(minutes(60)) };
  const answer = grants.ask('POST', 'activating', 'support-access-grants', body);
  await decisions.untilTheWorkerWaits();
  return { answer, release: decisions.release };
}

/** One grant at each step when the worker dies of a `kill -9`. */
beforeAll(async () => {
  worker = await launchProcess('worker.ts', stack.environment);
  await open();
  const clearing = await clear();
  const activating = await activate();

  await freeze(worker, stack.database);
  expect((await grants.change(at.changed, inMs(minutes(90)))).status).toBe(200);
  await grants.revoke(at.revoked);
  await grants.pass(at.expiring, minutes(6));
  await eventually(() => hasFired(at.expiring), Boolean);
  looksBefore = looks('cleared');
  await worker.kill9();

  clearing.resolve();
  neverGranted = await activating.answer;
  await activating.release();
  worker = await launchProcess('worker.ts', stack.environment);
});
afterAll(() => worker?.kill9());

/** The database's clock, and the grant's timer with it. */
async function moveTo(instant: string, offsetMs: number, { id }: GrantView): Promise<void> {
  const ms = Date.parse(instant) - Date.now();
  await stack.database.query('update test_clock set offset_ms = $1', [ms + offsetMs]);
  await fastForward(stack.temporal, grantWorkflowId(id), Math.ceil(ms / 1_000) + 1);
}

/** Each once, and none besides. */
async function expectFacts(organization: string, ...between: string[]): Promise<void> {
  const grant = ['granted', 'session-started', ...between].map((fact) => `support-access.${fact}`);
  const cleared = ['termination.requested', 'termination.completed', 'support-access.cleared'];
  expect(await grants.actions(organization)).toEqual([...grant, ...cleared]);
}

async function expectEnded({ id, organizationId }: GrantView, reason: 'expired' | 'revoked', sessions = 1) {
  const grant = await grants.until({ id, organizationId } as GrantView, 'ended', 60_000);
  expect(grant).toMatchObject({ endReason: reason, sessions: { total: sessions, cleared: sessions } });
  expect(grant.sessionsClearedAt).not.toBeNull();
  expect(await grants.check(organizationId)).toMatchObject({ decision: 'deny', reason });
  expect(stack.authModule.chains.alive(organizationId)).toEqual([]);
  return grant;
}

describe('a grant whose worker is killed and replaced', () => {
  it('while it is being activated: nothing is granted, then or later', async () => {
    expect(neverGranted.status).toBe(503);
    const [row] = await stack.database.query<{ id: string }>(
      `select id from support_access_grants where organization_id = 'activating'`,
    );
    expect(await grants.closed({ id: row?.id ?? '' })).toBe('COMPLETED');
    expect(await grants.check('activating')).toMatchObject({ decision: 'deny', reason: 'no-grant' });
    expect(await grants.actions('activating')).toEqual([]);
  });

  it('when it was just revoked: access ended with the answer, and its session is ended by the next worker', async () => {
    expect(await expectEnded(at.revoked, 'revoked')).toMatchObject({ endedBy: { kind: 'org-admin' }, revision: 2 });
    await expectFacts('revoked', 'revoked');
  });

  it('when its end has just come: it ends at that instant, marked by the next worker', async () => {
    const { accessEndedAt } = await expectEnded(at.expiring, 'expired');
    expect(accessEndedAt).toBe(at.expiring.expiresAt);
    await expectFacts('expiring', 'expired');
  });

  it('while the Auth Module ends its sessions: the next worker asks again, and each is counted once', async () => {
    await expectEnded(at.clearing, 'revoked', 2);
    await expectFacts('clearing', 'revoked');
  });

  it('when all is cleared: the last look is still taken, and nothing is told again', async () => {
    const { sessionsClearedAt } = at.cleared;
    expect(await grants.closed(at.cleared)).toBe('COMPLETED');
    expect(looks('cleared')).toBeGreaterThan(looksBefore);
    expect((await expectEnded(at.cleared, 'revoked')).sessionsClearedAt).toBe(sessionsClearedAt);
    await expectFacts('cleared', 'revoked');
  });

  it('while it is armed: it lives on, and ends at its instant', async () => {
    await moveTo(at.armed.expiresAt, -minutes(1), at.armed);
    expect(await grants.check('armed')).toMatchObject({ decision: 'allow' });
    await moveTo(at.armed.expiresAt, 0, at.armed);
    expect((await expectEnded(at.armed, 'expired')).accessEndedAt).toBe(at.armed.expiresAt);
    await expectFacts('armed', 'expired');
  });

  it('when its end was just moved: it outlives the old one, and ends at the new', async () => {
    const { expiresAt } = await grants.read(at.changed);
    expect(await grants.check('changed')).toMatchObject({ decision: 'allow', notAfter: expiresAt });
    await moveTo(expiresAt, 0, at.changed);
    expect((await expectEnded(at.changed, 'expired')).accessEndedAt).toBe(expiresAt);
    await expectFacts('changed', 'changed', 'expired');
  });
});
