import { WorkflowNotFoundError } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { expect } from 'vitest';
import { retryNow, terminationWorkflowId } from '../../src/workflows/messages.ts';
import type { TerminationView } from '../../src/rules/termination.ts';
import type { SessionView } from '../../src/rules/session.ts';
import { type Answer, call, eventually, tokens } from './client.ts';
import { report, started } from './events.ts';
import type { Stack } from './stack.ts';

export interface SignIn {
  organizationId: string;
  userId: string;
  sessionId: string;
  chainIds?: string[];
  startedAt?: string;
}

/** Sessions as they come to be: their chains live at the Auth Module, their starts are reported here. */
export async function signIn(stack: Stack, ...signIns: SignIn[]): Promise<void> {
  const at = new Date().toISOString();
  const events = signIns.flatMap(({ chainIds = [], startedAt = at, ...session }) => {
    for (const chainId of chainIds) stack.authModule.chains.add({ ...session, chainId, sessionStartedAt: startedAt });
    const first = started({ ...session, startedAt, ...(chainIds[0] === undefined ? {} : { chainId: chainIds[0] }) });
    return [
      first,
      ...chainIds
        .slice(1)
        .map((chainId) => ({ ...first, eventId: `${first.eventId}-${chainId}`, type: 'chain.started', chainId })),
    ];
  });
  for (let n = 0; n < events.length; n += 1_000) {
    const results = await report(stack, events.slice(n, n + 1_000));
    expect(results.filter(({ outcome }) => outcome !== 'accepted')).toEqual([]);
  }
}

export interface TerminateRequest {
  token?: string;
  body?: object;
  /** `Prefer`; default: answered from the decision alone. */
  prefer?: string;
}

/**
 * Whoever waits for 10 s or more gets the completed resource, also from a machine so busy that the delivery took longer
 * than its half second, which is answered with 202 at once. `path` is below the organization: `sessions/terminate`, `users/{user}/sessions/terminate`, `sessions/{session}/terminate`.
 */
export async function terminate(
  stack: Stack,
  organizationId: string,
  path: string,
  { token, body = {}, prefer = 'respond-async' }: TerminateRequest = {},
): Promise<Answer<TerminationView>> {
  const answer = await call<TerminationView>(stack, 'POST', `/v1/organizations/${organizationId}/${path}`, {
    token: token ?? (await tokens(stack.issuer).orgAdmin(organizationId)),
    body,
    headers: { prefer },
  });
  const waitSeconds = Number(/^wait=(\d+)$/.exec(prefer)?.[1] ?? 0);
  if (answer.status !== 202 || waitSeconds < 10) return answer;
  return { ...answer, body: await untilCompleted(stack, answer.body) };
}

/** An admin whom no fence of a test touches: signed in an hour from now. */
export const observer = (stack: Stack, organizationId: string): Promise<string> =>
  stack.issuer.token({
    sub: 'observer',
    roles: ['org_admin'],
    org_id: organizationId,
    sid: 'sid-of-observer',
    auth_time: Math.floor(Date.now() / 1_000) + 3_600,
  });

/** The termination as its resource shows it now; its counters are checked on every look. */
export async function look(stack: Stack, organizationId: string, id: string): Promise<TerminationView> {
  const answer = await call<TerminationView>(stack, 'GET', `/v1/organizations/${organizationId}/terminations/${id}`, {
    token: await observer(stack, organizationId),
  });
  expect(answer.status, answer.text).toBe(200);
  expectPartition(answer.body);
  return answer.body;
}

export function expectPartition({ sessions, chains, status, completedAt, accessEndsBy }: TerminationView): void {
  expect(chains.confirmed + chains.alreadyDead + chains.pending).toBe(chains.total);
  expect(sessions.pending).toBeGreaterThanOrEqual(0);
  expect(sessions.pending).toBeLessThanOrEqual(sessions.total);
  expect(completedAt === null).toBe(status === 'running');
  if (chains.pending + sessions.pending > 0)
    expect({ status, accessEndsBy }).toEqual({ status: 'running', accessEndsBy: null });
}

export const untilCompleted = (
  stack: Stack,
  { organizationId, id }: { organizationId: string; id: string },
  withinMs?: number,
) =>
  eventually(
    () => look(stack, organizationId, id),
    ({ status }) => status === 'completed',
    withinMs,
  );

export const untilVerified = (
  stack: Stack,
  { organizationId, id }: { organizationId: string; id: string },
  withinMs?: number,
) =>
  eventually(
    () => look(stack, organizationId, id),
    ({ verifiedAt }) => verifiedAt !== null,
    withinMs,
  );

/** What an operator does who will not wait for the patient phase. The decision may be answered before its workflow is there. */
export const hurry = (stack: Stack, id: string) =>
  eventually(
    () =>
      stack.temporal.workflow
        .getHandle(terminationWorkflowId(id))
        .signal(retryNow)
        .then(
          () => true,
          (error: unknown) => {
            if (error instanceof WorkflowNotFoundError) return false;
            throw error;
          },
        ),
    Boolean,
  );

/** Everything that Temporal keeps of the latest run, payloads decoded. */
export async function historyOf(stack: Stack, id: string) {
  const history = await stack.temporal.workflow.getHandle(terminationWorkflowId(id)).fetchHistory();
  const text = historyToJSON(history);
  // payloads are base64 of JSON
  const decoded = text.replaceAll(
    /"data":\s*"([A-Za-z0-9+/=]+)"/g,
    (_, data: string) => `"data": ${JSON.stringify(Buffer.from(data, 'base64').toString())}`,
  );
  return { history, text: `${text}\n${decoded}` };
}

/** How long a workflow has decided to wait, each time, in seconds. */
export const delaysIn = ({ events }: Awaited<ReturnType<typeof historyOf>>['history']): number[] =>
  (events ?? []).flatMap(({ timerStartedEventAttributes: timer }) =>
    timer == null
      ? []
      : [Number(timer.startToFireTimeout?.seconds ?? 0) + (timer.startToFireTimeout?.nanos ?? 0) / 1e9],
  );

export async function listSessions(
  stack: Stack,
  organizationId: string,
  userId: string,
  status: 'active' | 'ended' | 'all' = 'active',
): Promise<SessionView[]> {
  const token = await observer(stack, organizationId);
  const items: SessionView[] = [];
  for (let cursor: string | null = ''; cursor !== null;) {
    const query: string = `status=${status}&limit=200${cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`}`;
    const page: Answer<{ items: SessionView[]; nextCursor: string | null }> = await call(
      stack,
      'GET',
      `/v1/organizations/${organizationId}/users/${userId}/sessions?${query}`,
      { token },
    );
    expect(page.status, page.text).toBe(200);
    items.push(...page.body.items);
    cursor = page.body.nextCursor;
  }
  return items;
}

export interface AuditEvent {
  id: string;
  action: string;
  actor: { kind: string; id: string };
  subject: { kind: string; id: string };
  reason: string | null;
  details: { terminationId?: string } & Record<string, unknown>;
  hash: string | null;
  previousHash: string | null;
}

/** The organization's audit, oldest first. */
export async function auditOf(stack: Stack, organizationId: string): Promise<AuditEvent[]> {
  const token = await observer(stack, organizationId);
  const items: AuditEvent[] = [];
  for (let cursor: string | null = ''; cursor !== null;) {
    const query: string = `limit=200${cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`}`;
    const page: Answer<{ items: AuditEvent[]; nextCursor: string | null }> = await call(
      stack,
      'GET',
      `/v1/organizations/${organizationId}/audit-events?${query}`,
      { token },
    );
    expect(page.status, page.text).toBe(200);
    items.push(...page.body.items);
    cursor = page.body.nextCursor;
  }
  return items.toReversed();
}
