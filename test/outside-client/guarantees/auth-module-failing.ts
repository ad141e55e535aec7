import { describe, expect, test } from 'vitest';
import { type Fault, faults } from '../auth-module.ts';
import { eventually } from '../eventually.ts';
import { newId, newOrganization, type Organization } from '../organization.ts';
import type { Service } from '../service.ts';
import { type errorClasses, Session, Termination, page } from '../shapes.ts';

const failures: [string, Fault, (typeof errorClasses)[number]][] = [
  ['resets the connection', faults.resets, 'unreachable'],
  ['never answers', faults.hangs, 'timeout'],
  ['answers 429', faults.answers(429), 'throttled'],
  ['answers 500', faults.answers(500), 'server-error'],
  ['answers 503', faults.answers(503), 'server-error'],
  ['answers 401', faults.answers(401), 'unauthorized'],
  ['answers 403', faults.answers(403), 'unauthorized'],
  ['answers 404', faults.answers(404), 'rejected'],
  ['answers 400', faults.answers(400), 'rejected'],
  ['answers something else than JSON', faults.says('<html>'), 'bad-response'],
  ['answers JSON of another kind', faults.says('{"ok":true}'), 'bad-response'],
  [
    'leaves a chain without an outcome',
    faults.bends((answer) => ({ ...answer, chains: answer.chains.slice(1) })),
    'bad-response',
  ],
  [
    'leaves a sign-in without an outcome',
    faults.bends((answer) => ({ ...answer, sessions: answer.sessions.slice(1) })),
    'bad-response',
  ],
  [
    'could not end a sign-in',
    faults.bends((answer) => ({
      ...answer,
      sessions: answer.sessions.map((one) => ({ ...one, outcome: 'failed' as const })),
    })),
    'rejected',
  ],
];

/** Nobody is told "completed" before the Auth Module has confirmed, and nothing is ever given up. */
export function authModuleFailing(service: Service): void {
  const untilTried = (organization: Organization, id: string) =>
    eventually(
      () => organization.termination(id),
      ({ lastErrorClass }) => lastErrorClass !== null,
    );
  const untilCompleted = (organization: Organization, id: string) =>
    eventually(
      () => organization.termination(id),
      ({ status }) => status === 'completed',
    );
  const terminate = (organization: Organization, body?: object) =>
    organization.send('POST', '/users/user/sessions/terminate', { body, headers: { prefer: 'respond-async' } });

  describe('an Auth Module that does not confirm', () => {
    test.concurrent.each(failures)(
      'because it %s: running, and the reason is told',
      async (_name, fault, errorClass) => {
        const organization = await newOrganization(service);
        await organization.signIn('user');
        service.authModule.fail(organization.id, fault);
        const { id } = (await terminate(organization)).as(202, Termination);
        const tried = await untilTried(organization, id);
        expect(tried).toMatchObject({
          status: 'running',
          lastErrorClass: errorClass,
          completedAt: null,
          verifiedAt: null,
          accessEndsBy: null,
        });
        expect(tried.attempts).toBeGreaterThanOrEqual(1);
        // the sessions are over all the same
        expect(await organization.sessions('user', 'status=active')).toEqual([]);
        service.authModule.fail(organization.id, undefined);
      },
    );

    test.concurrent('is asked again, and the termination completes when it is back', async () => {
      const organization = await newOrganization(service);
      const chain = await organization.signIn('user');
      service.authModule.fail(organization.id, faults.resets);
      const answer = await organization.send('POST', '/users/user/sessions/terminate', {
        headers: { prefer: 'wait=1' },
      });
      const { id } = answer.as(202, Termination);
      expect(answer.headers.get('location')).toBe(`${organization.path}/terminations/${id}`);
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
      const tried = await untilTried(organization, id);
      service.authModule.fail(organization.id, undefined);
      const completed = await untilCompleted(organization, id);
      expect(completed).toMatchObject({
        sessions: { total: 1, pending: 0 },
        chains: { total: 1, confirmed: 1, alreadyDead: 0, pending: 0 },
      });
      expect(completed.attempts).toBeGreaterThan(tried.attempts);
      expect(service.authModule.isAlive(chain)).toBe(false);
    });

    test.concurrent('about one chain holds up none of the others', async () => {
      const organization = await newOrganization(service);
      const poison = await organization.signIn('user');
      const others = [await organization.signIn('user'), await organization.signIn('user')];
      service.authModule.fail(organization.id, faults.cannotKill(poison, service.authModule));
      const { id } = (await terminate(organization)).as(202, Termination);
      const running = await eventually(
        () => organization.termination(id),
        ({ chains, lastErrorClass }) => chains.confirmed === 2 && lastErrorClass === 'rejected',
      );
      expect(running).toMatchObject({ status: 'running', chains: { total: 3, confirmed: 2, pending: 1 } });
      expect([poison, ...others].map(service.authModule.isAlive)).toEqual([true, false, false]);
      service.authModule.fail(organization.id, undefined);
      const { chains } = await untilCompleted(organization, id);
      expect(chains).toEqual({ total: 3, confirmed: 3, alreadyDead: 0, pending: 0 });
      expect(service.authModule.isAlive(poison)).toBe(false);
    });

    test.concurrent(
      'and names a chain that nobody asked for is not believed, and that chain is left alone',
      async () => {
        const [organization, other] = [await newOrganization(service), await newOrganization(service)];
        const stray = { ...(await other.signIn('user')), organizationId: organization.id, userId: 'somebody-else' };
        service.authModule.open(stray);
        service.authModule.fail(organization.id, faults.strays(stray));
        const { id } = (await terminate(organization)).as(202, Termination);
        expect(await untilTried(organization, id)).toMatchObject({ status: 'running', lastErrorClass: 'bad-response' });
        const sent = service.authModule
          .calls(organization.id)
          .flatMap((call) => (call.kind === 'invalidate' ? call.body.chainIds : []));
        expect(sent).not.toContain(stray.chainId);
        expect(service.authModule.isAlive(stray)).toBe(true);
        service.authModule.fail(organization.id, undefined);
      },
    );

    test.concurrent('delays no other organization', async () => {
      const [organization, other] = [await newOrganization(service), await newOrganization(service)];
      service.authModule.fail(organization.id, faults.hangs);
      await terminate(organization);
      await other.signIn('user');
      expect((await other.terminateAll('user')).status).toBe('completed');
      service.authModule.fail(organization.id, undefined);
    });
  });

  describe('while a termination runs', () => {
    const stuck = async () => {
      const organization = await newOrganization(service);
      await organization.signIn('user');
      service.authModule.fail(organization.id, faults.answers(500));
      return organization;
    };

    test.concurrent('the same call joins it, raises its cutoff, and leaves an audit event of its own', async () => {
      const organization = await stuck();
      const first = (await terminate(organization, { reason: 'first' })).as(202, Termination);
      await eventually(Date.now, (now) => now > Date.parse(first.cutoff));
      const second = (await terminate(organization, { reason: 'second' })).as(202, Termination);
      expect(second.id).toBe(first.id);
      expect(second.cutoff > first.cutoff).toBe(true);
      const events = await organization.audit();
      const of = (action: string) => events.filter((one) => one.action === action).map(({ reason }) => reason);
      expect([of('termination.requested'), of('termination.joined')]).toEqual([['first'], ['second']]);
      service.authModule.fail(organization.id, undefined);
      await untilCompleted(organization, first.id);
    });

    test.concurrent('one that keeps other sessions is a termination of its own', async () => {
      const organization = await stuck();
      const first = (await terminate(organization)).as(202, Termination);
      const second = (await terminate(organization, { exceptSessionIds: [newId('session')] })).as(202, Termination);
      expect(second.id).not.toBe(first.id);
      service.authModule.fail(organization.id, undefined);
    });

    test.concurrent('ending the same session again is 202 with the one that runs', async () => {
      const organization = await stuck();
      const { items } = (await organization.send('GET', '/users/user/sessions')).as(200, page(Session));
      const once = () =>
        organization.send('POST', `/sessions/${items[0]!.id}/terminate`, { headers: { prefer: 'respond-async' } });
      const [first, second] = [(await once()).as(202, Termination), (await once()).as(202, Termination)];
      expect(second.id).toBe(first.id);
      service.authModule.fail(organization.id, undefined);
      await untilCompleted(organization, first.id);
    });
  });
}
