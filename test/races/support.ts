import { expect } from 'vitest';
import type { GrantView } from '../../src/rules/support-access-grant.ts';
import { eventually } from '../harness/client.ts';
import { Refused, type ReferenceStack } from '../harness/reference-stack.ts';
import { type Caller, usePeople } from './people.ts';

export const inSeconds = (seconds: number) => new Date(Date.now() + seconds * 1_000).toISOString();

/** What becomes of a sign-in: the status of its refusal, or `let in`. */
export const refusal = (entering: Promise<unknown>) =>
  entering.then(
    () => 'let in',
    (error: unknown) => (error instanceof Refused ? error.status : error),
  );

/** Customers who give support access, and the vendor's staff who use it. */
export function useSupport(stack: ReferenceStack) {
  const people = usePeople(stack);
  const path = (organization: string, rest: string) => `/v1/organizations/${organization}/${rest}`;
  const pathOf = ({ organizationId, id }: GrantView) => path(organizationId, `support-access-grants/${id}`);
  return {
    path,
    staff: (sub = 'sam') => people.enter('vendor', sub, ['global_admin']),

    async grant(
      admin: Caller,
      organization: string,
      { userId = null, expiresAt = inSeconds(600) }: { userId?: string | null; expiresAt?: string } = {},
    ): Promise<GrantView> {
      const ask = () =>
        people.ask<GrantView>(admin, 'POST', path(organization, 'support-access-grants'), { userId, expiresAt });
      // nothing is granted while no worker is up, and a busy machine is slow to answer: asked again
      const answer = await eventually(ask, ({ status }) => status !== 503, 60_000);
      expect(answer.status, answer.text).toBe(201);
      return answer.body;
    },
    async revoke(admin: Caller, given: GrantView): Promise<void> {
      const answer = await people.ask(admin, 'POST', `${pathOf(given)}/revoke`, {});
      expect(answer.status, answer.text).toBe(200);
    },
    /** The grant, once every session opened under it is confirmed dead. */
    cleared: (admin: Caller, given: GrantView): Promise<GrantView> =>
      eventually(
        async () => (await people.ask<GrantView>(admin, 'GET', pathOf(given))).body,
        ({ status }) => status === 'ended',
        120_000,
      ),
    /** What an API call of this person comes to in the organization. */
    async reads(by: Caller, organization: string) {
      const { status, body } = await people.ask(by, 'GET', path(organization, 'users/linus/sessions'));
      return [status, body['code']];
    },
  };
}
