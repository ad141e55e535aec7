import { beforeAll, expect } from 'vitest';
import type { GrantView, SupportAccessDecision, SupportAccessFlag } from '../../src/rules/support-access-grant.ts';
import { grantWorkflowId } from '../../src/workflows/messages.ts';
import { type Answer, call, eventually, tokens } from '../harness/client.ts';
import { report, started } from '../harness/events.ts';
import type { Stack } from '../harness/stack.ts';
import { fastForward } from '../harness/time-skipping.ts';

export const minutes = (n: number): number => n * 60_000;
export const days = (n: number): number => n * 86_400_000;
export const inMs = (ms: number): string => new Date(Date.now() + ms).toISOString();

/** What the tests of support access do through the interface; the organization is each test's own. */
export function useGrants(stack: Stack, { worker = true }: { worker?: boolean } = {}) {
  const path = (organization: string, rest: string) => `/v1/organizations/${encodeURIComponent(organization)}/${rest}`;
  const admin = (organization: string, sub = 'admin') => tokens(stack.issuer).orgAdmin(organization, { sub });
  const grants = {
    admin,
    path,
    /** As the organization's admin. */
    async ask<T = GrantView>(
      method: string,
      organization: string,
      rest: string,
      body?: unknown,
      headers: Record<string, string> = {},
    ): Promise<Answer<T>> {
      return call<T>(stack, method, path(organization, rest), { token: await admin(organization), body, headers });
    },
    async create(
      organization: string,
      {
        userId = null,
        expiresAt = inMs(minutes(60)),
        reason,
      }: { userId?: string | null; expiresAt?: string; reason?: string } = {},
    ): Promise<GrantView> {
      // on a busy machine the engine may not answer in time: nothing was granted then, and the caller asks again
      const ask = () => grants.ask('POST', organization, 'support-access-grants', { userId, expiresAt, reason });
      const answer = await eventually(ask, ({ status }) => status !== 503);
      expect(answer.status, answer.text).toBe(201);
      return answer.body;
    },
    read: async (grant: Pick<GrantView, 'id' | 'organizationId'>): Promise<GrantView> =>
      (await grants.ask('GET', grant.organizationId, `support-access-grants/${grant.id}`)).body,
    revoke: (grant: Pick<GrantView, 'id' | 'organizationId'>, body: unknown = {}) =>
      grants.ask('POST', grant.organizationId, `support-access-grants/${grant.id}/revoke`, body),
    change: (
      grant: Pick<GrantView, 'id' | 'organizationId'>,
      expiresAt: string,
      headers: Record<string, string> = {},
    ) => grants.ask('PATCH', grant.organizationId, `support-access-grants/${grant.id}`, { expiresAt }, headers),
    flag: async (organization: string): Promise<SupportAccessFlag> =>
      (await grants.ask<SupportAccessFlag>('GET', organization, 'support-access')).body,
    async check(
      organizationId: string,
      {
        userId = 'staff',
        role = 'global_admin',
        sessionId,
      }: { userId?: string; role?: string; sessionId?: string } = {},
    ): Promise<SupportAccessDecision> {
      const token = await tokens(stack.issuer).machine('support-access:check');
      const answer = await call<SupportAccessDecision>(stack, 'POST', '/v1/support-access/check', {
        token,
        body: { organizationId, userId, role, sessionId },
      });
      expect(answer.status, answer.text).toBe(200);
      return answer.body;
    },
    /** A staff member signs in under the grant: a living chain at the Auth Module, and its event. */
    async signIn(
      grant: GrantView,
      sessionId: string,
      { userId = 'staff', chainId = `chain-of-${sessionId}`, told = true } = {},
    ) {
      const { organizationId, id: supportAccessGrantId } = grant;
      stack.authModule.chains.add({ chainId, organizationId, sessionId, userId, supportAccessGrantId });
      const parentSession = { organizationId: 'vendor', sessionId: `sid-of-${userId}` };
      const [result] = told
        ? await report(stack, [
            started({ organizationId, userId, sessionId, chainId, supportAccessGrantId, parentSession }),
          ])
        : [];
      return result;
    },
    audit: async (
      organization: string,
    ): Promise<
      { action: string; actor: { kind: string; id: string }; details: Record<string, unknown>; reason: string | null }[]
    > => (await grants.ask<{ items: [] }>('GET', organization, 'audit-events?limit=200')).body.items,
    actions: async (organization: string): Promise<string[]> =>
      (await grants.audit(organization)).map((event) => event.action).toReversed(),
    until: (grant: GrantView, status: GrantView['status'], withinMs?: number): Promise<GrantView> =>
      eventually(
        () => grants.read(grant),
        (now) => now.status === status,
        withinMs,
      ),
    workflow: (grant: Pick<GrantView, 'id'>) => stack.temporal.workflow.getHandle(grantWorkflowId(grant.id)),
    closed: (grant: Pick<GrantView, 'id'>) =>
      eventually(
        async () => (await grants.workflow(grant).describe()).status.name,
        (status) => status !== 'RUNNING',
      ),
    /** Moves the workflow's time, and the database's with it where that is asked. */
    async pass(grant: Pick<GrantView, 'id'>, ms: number) {
      await stack.database.moveClock(ms);
      await fastForward(stack.temporal, grantWorkflowId(grant.id), Math.ceil(ms / 1_000) + 1);
    },
  };
  // a worker is ready some time after it was started; without one nothing is granted
  if (worker) beforeAll(() => grants.create('warm-up'));
  return grants;
}
