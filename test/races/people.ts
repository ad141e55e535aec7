import { expect } from 'vitest';
import { refresh } from '../../reference-auth-module/client.ts';
import type { TerminationView } from '../../src/rules/termination.ts';
import { type Answer, call, eventually } from '../harness/client.ts';
import { Refused, type ReferenceStack } from '../harness/reference-stack.ts';
import { expectPartition } from '../harness/terminations.ts';

/** What a device holds of one sign-in; `refreshToken` is always the newest it was given. */
export interface Device {
  sessionId: string;
  chainId: string;
  refreshToken: string;
  clientId: string;
}

export interface Caller {
  token: string;
  device: Device;
}

interface PersonToken {
  access_token: string;
  session_id: string;
  chain_id: string;
  refresh_token: string;
  parent_session_id?: string;
}

export type SignInRequest = { organizationId: string; clients?: ('web' | 'mobile')[] } & (
  { userId: string; count?: number } | { userIds: string[] }
);

/** Who is told to try again in a moment does: nothing was issued. It happens where the machine has too much to do. */
async function patiently<T>(act: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await act();
    } catch (error) {
      if (!(error instanceof Refused) || error.status !== 503 || attempt === 10) throw error;
    }
  }
}

/** People who sign in at the reference Auth Module, refresh, and are ended. Whether one is, only a refresh tells. */
export function usePeople(stack: ReferenceStack) {
  const caller = ({ access_token, session_id, chain_id, refresh_token }: PersonToken): Caller => ({
    token: access_token,
    device: { sessionId: session_id, chainId: chain_id, refreshToken: refresh_token, clientId: 'web' },
  });

  const people = {
    /** Sign-ins without a browser: real sessions with real chains. */
    signIn: (request: SignInRequest): Promise<Device[]> =>
      patiently(() => stack.ask<Device[]>('/demo/sign-ins', request)),
    signOut: (...devices: Device[]) =>
      stack.ask('/demo/sign-outs', { sessionIds: devices.map(({ sessionId }) => sessionId) }),

    /** A person with an access token, in a session of their own. */
    enter: async (organizationId: string, sub: string, roles: string[] = []): Promise<Caller> =>
      caller(
        await patiently(() =>
          stack.ask<PersonToken>('/demo/tokens', { org_id: organizationId, sub, roles, ttlSeconds: 3_600 }),
        ),
      ),
    admin: (organizationId: string, sub = 'the-admin') => people.enter(organizationId, sub, ['org_admin']),

    /** A Global Admin's support sign-in, from the session that `staff` is. */
    async support(staff: Caller, sub: string, customer: string): Promise<Caller> {
      const request = {
        org_id: 'vendor',
        sub,
        parent_session_id: staff.device.sessionId,
        support_access_organization: customer,
        ttlSeconds: 3_600,
      };
      return caller(await patiently(() => stack.ask<PersonToken>('/demo/tokens', request)));
    },

    /** Uses the newest token; true: it gave another one, which the device then holds. Any answer but these two fails the test. */
    async refresh(device: Device): Promise<boolean> {
      const { status, body } = await refresh({
        issuer: stack.issuer,
        client: device.clientId,
        refreshToken: device.refreshToken,
      });
      if (status === 200 && body.refresh_token !== undefined) {
        device.refreshToken = body.refresh_token;
        return true;
      }
      expect({ status, error: body.error }).toEqual({ status: 400, error: 'invalid_grant' });
      return false;
    },

    /** Those that still refresh. */
    async survivors(devices: readonly Device[]): Promise<Device[]> {
      const alive = await inLanes(devices, 16, people.refresh);
      return devices.filter((_, n) => alive[n]);
    },

    /** Resolves when the Auth Module has told everything that happened. */
    told: () =>
      eventually(
        async () =>
          (await stack.authDatabase.query<{ n: number }>('select count(*)::int as n from auth_outbox')).rows[0]?.n,
        (waiting) => waiting === 0,
        60_000,
      ),

    ask: <T = Record<string, unknown>>(
      by: Caller,
      method: string,
      path: string,
      body?: unknown,
      headers: Record<string, string> = {},
    ): Promise<Answer<T>> => call<T>(stack, method, path, { token: by.token, body, headers }),

    /** Decides, and does not wait; `path` is below the organization. */
    async terminate(by: Caller, organizationId: string, path: string, body: object = {}): Promise<TerminationView> {
      const answer = await people.ask<TerminationView>(
        by,
        'POST',
        `/v1/organizations/${organizationId}/${path}/terminate`,
        body,
        { prefer: 'respond-async' },
      );
      expect([200, 202], answer.text).toContain(answer.status);
      return answer.body;
    },
    async look(
      by: Caller,
      { organizationId, id }: Pick<TerminationView, 'organizationId' | 'id'>,
    ): Promise<TerminationView> {
      const answer = await people.ask<TerminationView>(
        by,
        'GET',
        `/v1/organizations/${organizationId}/terminations/${id}`,
      );
      expect(answer.status, answer.text).toBe(200);
      expectPartition(answer.body);
      return answer.body;
    },
    completed: (by: Caller, termination: TerminationView, withinMs = 120_000): Promise<TerminationView> =>
      eventually(
        () => people.look(by, termination),
        ({ status }) => status === 'completed',
        withinMs,
      ),
  };
  return people;
}

/** Works through `items`, so many at a time; the results in their order. */
export async function inLanes<T, R>(
  items: readonly T[],
  lanes: number,
  work: (item: T, n: number) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  const queue = items.entries();
  const lane = async () => {
    for (const [n, item] of queue) results[n] = await work(item, n);
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return results;
}

/** Resolves when so many of the promises have. */
export async function whenSettled(promises: readonly Promise<unknown>[], count: number): Promise<void> {
  let settled = 0;
  await new Promise<void>((enough) => {
    for (const promise of promises) void promise.finally(() => ++settled >= count && enough()).catch(() => undefined);
  });
}
