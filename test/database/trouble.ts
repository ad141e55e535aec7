import { call, tokens } from '../harness/client.ts';
import { started } from '../harness/events.ts';
import type { Stack } from '../harness/stack.ts';

/** What the service is asked in a test of a database in trouble: what only reads, and what decides. */
export function asks(stack: Pick<Stack, 'url' | 'issuer'>) {
  const { orgAdmin, machine } = tokens(stack.issuer);
  let events = 0;
  return {
    list: async () =>
      call(stack, 'GET', '/v1/organizations/trouble/users/grace/sessions', { token: await orgAdmin('trouble') }),
    check: async () =>
      call(stack, 'POST', '/v1/support-access/check', {
        token: await machine('support-access:check'),
        body: { organizationId: 'trouble', userId: 'staff', role: 'global_admin' },
      }),
    end: async () =>
      call(stack, 'POST', '/v1/organizations/trouble/users/grace/sessions/terminate', {
        token: await orgAdmin('trouble'),
        body: {},
        headers: { prefer: 'respond-async' },
      }),
    ingest: async () =>
      call(stack, 'POST', '/v1/session-events', {
        token: await machine('sessions:ingest'),
        body: {
          events: Array.from({ length: 20 }, () => {
            const sessionId = `s${(events += 1)}`;
            return started({
              organizationId: 'trouble',
              userId: `user-${sessionId}`,
              sessionId,
              userAgent: 'x'.repeat(900),
            });
          }),
        },
      }),
    ready: () => call<{ status: string; database: { detail?: string } }>(stack, 'GET', '/readyz'),
    failures: async (failure: string) => {
      const { text } = await call(stack, 'GET', '/metrics');
      return Number(new RegExp(`database_failures_total\\{class="${failure}"\\} (\\d+)`).exec(text)?.[1]);
    },
  };
}

/** Passing, and said to be: a gateway may send it again. */
export const mayBeTriedAgain = { status: 503, code: 'database-unavailable', retryAfter: '1' };

export const outcomeOf = ({ status, body, headers }: Awaited<ReturnType<ReturnType<typeof asks>['list']>>) => ({
  status,
  code: body['code'],
  retryAfter: headers.get('retry-after'),
});
