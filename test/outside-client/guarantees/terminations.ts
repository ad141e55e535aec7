import { describe, expect, test } from 'vitest';
import { faults } from '../auth-module.ts';
import { inSeconds, newId, newOrganization } from '../organization.ts';
import { machine } from '../people.ts';
import { record } from '../session-events.ts';
import { accessTokenTtlSeconds, type Service } from '../service.ts';
import { Termination } from '../shapes.ts';

/** The operation as a resource: where it is, what it says, how long one waits for it. */
export function aTermination(service: Service): void {
  const invalidations = (organizationId: string) =>
    service.authModule.calls(organizationId).filter((call) => call.kind === 'invalidate');

  describe('a termination', () => {
    test.concurrent('is a resource of its own, listed newest first', async () => {
      const { terminateAll, termination, terminations } = await newOrganization(service);
      const [first, second] = [await terminateAll('one'), await terminateAll('two')];
      expect((await termination(first.id)).id).toBe(first.id);
      expect((await terminations()).map(({ id }) => id)).toEqual([second.id, first.id]);
    });

    test.concurrent('says when the last access token that was issued is over', async () => {
      const { signIn, terminateAll } = await newOrganization(service);
      await signIn('user');
      const { cutoff, accessEndsBy, completedAt } = await terminateAll('user');
      const lastOutcome = Date.parse(accessEndsBy!) - accessTokenTtlSeconds * 1_000;
      expect(lastOutcome).toBeGreaterThanOrEqual(Date.parse(cutoff));
      expect(lastOutcome).toBeLessThanOrEqual(Date.parse(completedAt!));
    });

    test.concurrent('sends each sign-in once, also one without a chain, and names itself', async () => {
      const organization = await newOrganization(service);
      const chains = [await organization.signIn('user'), await organization.signIn('user')];
      const bare = newId('session');
      const ingest = await machine(service, 'sessions:ingest');
      await record(service, ingest, [
        {
          type: 'session.started',
          organizationId: organization.id,
          userId: 'user',
          sessionId: bare,
          startedAt: inSeconds(-60),
        },
      ]);
      const { id, attempts } = await organization.terminateAll('user');
      const sent = invalidations(organization.id);
      expect(new Set(sent.map(({ body }) => body.terminationId))).toEqual(new Set([id]));
      const wanted = [...chains.map(({ sessionId }) => sessionId), bare];
      expect(sent.flatMap(({ body }) => body.sessionIds).toSorted()).toEqual(wanted.toSorted());
      expect(attempts).toBe(service.authModule.calls(organization.id).length);
    });

    test.concurrent('answers at once and from the decision alone where the caller does not wait', async () => {
      const { id, path, signIn, send, sessions } = await newOrganization(service);
      await signIn('user');
      const answer = await send('POST', '/users/user/sessions/terminate', { headers: { prefer: 'respond-async' } });
      const termination = answer.as(202, Termination);
      expect(termination).toMatchObject({ organizationId: id, status: 'running', accessEndsBy: null });
      expect(answer.headers.get('location')).toBe(`${path}/terminations/${termination.id}`);
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
      expect(await sessions('user', 'status=active')).toEqual([]);
    });

    test.concurrent('is waited for two seconds where the caller says nothing', async () => {
      const { id, path, admin, signIn } = await newOrganization(service);
      await signIn('user');
      service.authModule.fail(id, faults.answers(500));
      const askedAt = Date.now();
      const answer = await service.api.send('POST', `${path}/users/user/sessions/terminate`, { as: admin.token });
      expect(answer.as(202, Termination).status).toBe('running');
      expect(Date.now() - askedAt).toBeGreaterThanOrEqual(1_900);
      expect(Date.now() - askedAt).toBeLessThan(10_000);
      service.authModule.fail(id, undefined);
    });

    test.concurrent('is waited for at most thirty seconds, and the answer says so', async () => {
      const { send } = await newOrganization(service);
      const answer = await send('POST', '/users/user/sessions/terminate', { headers: { prefer: 'wait=31' } });
      expect(answer.status).toBe(200);
      expect(answer.headers.get('preference-applied')).toBe('wait=30');
    });
  });
}
