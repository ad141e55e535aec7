import { describe, expect, test } from 'vitest';
import type { Chain } from '../auth-module.ts';
import { newId, newOrganization, inSeconds } from '../organization.ts';
import { machine, orgAdmin } from '../people.ts';
import { record } from '../session-events.ts';
import type { Service } from '../service.ts';
import { Termination } from '../shapes.ts';

/** What an end does, where the Auth Module confirms it. */
export function terminating(service: Service): void {
  const areAlive = (...chains: Chain[]) => chains.map((chain) => service.authModule.isAlive(chain));

  describe('ending one session', () => {
    test.concurrent('answers 200 with the termination once every chain is confirmed dead', async () => {
      const organization = await newOrganization(service);
      const chain = await organization.signIn('user');
      const before = Date.now();
      const answer = await organization.send('POST', `/sessions/${chain.sessionId}/terminate`, {
        body: { reason: 'stolen laptop' },
      });
      const termination = answer.as(200, Termination);
      expect(termination).toMatchObject({
        organizationId: organization.id,
        scope: { kind: 'session', id: chain.sessionId },
        status: 'completed',
        requestedBy: {
          kind: 'org-admin',
          id: organization.admin.userId,
          sessionId: organization.admin.sessionId,
          supportAccessGrantId: null,
        },
        reason: 'stolen laptop',
        sessions: { total: 1, pending: 0 },
        chains: { total: 1, confirmed: 1, alreadyDead: 0, pending: 0 },
        lastErrorClass: null,
        stalled: false,
        verifiedAt: null,
      });
      expect(Date.parse(termination.cutoff)).toBeGreaterThanOrEqual(before);
      expect(termination.completedAt! >= termination.requestedAt).toBe(true);
      expect(areAlive(chain)).toEqual([false]);
      const ended = (await organization.session('user', chain.sessionId))!;
      expect(ended.endedAt! >= termination.cutoff && ended.endedAt! <= termination.completedAt!).toBe(true);
      expect(ended).toMatchObject({
        status: 'ended',
        endReason: 'terminated',
        terminationId: termination.id,
        refreshTokenChains: { alive: 0, dead: 1 },
      });
    });

    test.concurrent('leaves the user’s other sessions', async () => {
      const { signIn, send, session } = await newOrganization(service);
      const [one, other] = [await signIn('user'), await signIn('user')];
      await send('POST', `/sessions/${one.sessionId}/terminate`);
      expect(areAlive(one, other)).toEqual([false, true]);
      expect(await session('user', other.sessionId)).toMatchObject({ status: 'active' });
    });

    test.concurrent('that a termination ended already answers with that one', async () => {
      const { signIn, send, terminations } = await newOrganization(service);
      const { sessionId } = await signIn('user');
      const first = (await send('POST', `/sessions/${sessionId}/terminate`)).as(200, Termination);
      const again = (await send('POST', `/sessions/${sessionId}/terminate`)).as(200, Termination);
      expect(again.id).toBe(first.id);
      expect(await terminations()).toHaveLength(1);
    });

    test.concurrent('that was signed out is a termination like any other, for its chain may live', async () => {
      const organization = await newOrganization(service);
      const chain = await organization.signIn('user');
      const { organizationId, userId, sessionId, sessionStartedAt: startedAt } = chain;
      await record(service, await machine(service, 'sessions:ingest'), [
        { type: 'session.ended', organizationId, userId, sessionId, startedAt, occurredAt: inSeconds(0) },
      ]);
      expect(areAlive(chain)).toEqual([true]);
      const answer = await organization.send('POST', `/sessions/${sessionId}/terminate`);
      expect(answer.as(200, Termination).chains).toMatchObject({ total: 1, confirmed: 1 });
      expect(areAlive(chain)).toEqual([false]);
    });

    test.concurrent('finds the chains that no event told of', async () => {
      const { signIn, send } = await newOrganization(service);
      const told = await signIn('user');
      const untold = { ...told, chainId: newId('chain') };
      service.authModule.open(untold);
      const answer = await send('POST', `/sessions/${told.sessionId}/terminate`);
      expect(answer.as(200, Termination).chains).toMatchObject({ total: 2, confirmed: 2 });
      expect(areAlive(told, untold)).toEqual([false, false]);
    });

    test.concurrent('asks the Auth Module for that session, whenever it started', async () => {
      const { id, signIn, send } = await newOrganization(service);
      const { sessionId } = await signIn('user');
      await send('POST', `/sessions/${sessionId}/terminate`);
      const searches = service.authModule.calls(id).filter(({ kind }) => kind === 'search');
      expect(searches.length).toBeGreaterThan(0);
      for (const { body } of searches) expect(body).toEqual({ organizationId: id, sessionIds: [sessionId] });
    });

    test.concurrent('knows neither keeping nor sparing', async () => {
      const { signIn, send } = await newOrganization(service);
      const { sessionId } = await signIn('user');
      for (const field of ['includeOwn', 'exceptSessionIds']) {
        const body = { [field]: field === 'includeOwn' ? true : [] };
        (await send('POST', `/sessions/${sessionId}/terminate`, { body })).invalid(`/${field}`);
      }
    });
  });

  describe('ending all sessions of a user', () => {
    test.concurrent('ends each of them, in this organization alone', async () => {
      const [organization, other] = [await newOrganization(service), await newOrganization(service)];
      const chains = [await organization.signIn('user'), await organization.signIn('user')];
      const spared = [await organization.signIn('somebody'), await other.signIn('user')];
      const termination = await organization.terminateAll('user');
      expect(termination).toMatchObject({
        scope: { kind: 'user', id: 'user' },
        status: 'completed',
        sessions: { total: 2, pending: 0 },
        chains: { total: 2, confirmed: 2, alreadyDead: 0, pending: 0 },
      });
      expect(areAlive(...chains, ...spared)).toEqual([false, false, true, true]);
      expect(await organization.sessions('user', 'status=active')).toEqual([]);
      expect(await other.sessions('user', 'status=active')).toHaveLength(1);
    });

    test.concurrent('answers 200 with zeros for a user nobody knows', async () => {
      const { terminateAll } = await newOrganization(service);
      expect(await terminateAll('nobody')).toMatchObject({
        status: 'completed',
        sessions: { total: 0, pending: 0 },
        chains: { total: 0, confirmed: 0, alreadyDead: 0, pending: 0 },
      });
    });

    test.concurrent('finds a user of whom only the Auth Module knows, back to the fence and not beyond', async () => {
      const { id, terminateAll } = await newOrganization(service);
      const chain = (seconds: number): Chain => ({
        chainId: newId('chain'),
        sessionId: newId('session'),
        userId: 'user',
        organizationId: id,
        sessionStartedAt: inSeconds(seconds),
        supportAccessGrantId: null,
      });
      const before = [chain(-3_600), chain(-600), chain(-60), chain(-5), chain(-1)];
      const after = chain(600);
      for (const one of [...before, after]) service.authModule.open(one);
      const { chains } = await terminateAll('user');
      expect(chains).toMatchObject({ total: 5, confirmed: 5 });
      expect(areAlive(...before, after)).toEqual([false, false, false, false, false, true]);
    });

    test.concurrent('counts a chain that was dead already as such', async () => {
      const { signIn, terminateAll } = await newOrganization(service);
      const [alive, dead] = [await signIn('user'), await signIn('user')];
      service.authModule.kill(dead);
      expect((await terminateAll('user')).chains).toEqual({ total: 2, confirmed: 1, alreadyDead: 1, pending: 0 });
      expect(areAlive(alive, dead)).toEqual([false, false]);
    });

    test.concurrent('keeps the caller’s own session, and says so by going on with it', async () => {
      const { admin, signIn, terminateAll, sessions } = await newOrganization(service);
      const own = await signIn(admin.userId, { sessionId: admin.sessionId });
      const other = await signIn(admin.userId);
      expect((await terminateAll(admin.userId)).sessions.total).toBe(1);
      expect(areAlive(own, other)).toEqual([true, false]);
      expect(await sessions(admin.userId, 'status=active')).toMatchObject([{ id: admin.sessionId, current: true }]);
    });

    test.concurrent('with includeOwn ends the caller’s own as well', async () => {
      const { admin, signIn, terminateAll, send } = await newOrganization(service);
      const own = await signIn(admin.userId, { sessionId: admin.sessionId });
      expect((await terminateAll(admin.userId, { includeOwn: true })).sessions.total).toBe(1);
      expect(areAlive(own)).toEqual([false]);
      (await send('GET', '/terminations')).refused(401, 'session-ended');
    });

    test.concurrent('spares the sessions named, but revives none that was ended before', async () => {
      const { signIn, send, terminateAll, session } = await newOrganization(service);
      const [ended, spared, other] = [await signIn('user'), await signIn('user'), await signIn('user')];
      await send('POST', `/sessions/${ended.sessionId}/terminate`);
      await terminateAll('user', { exceptSessionIds: [spared.sessionId, ended.sessionId] });
      expect(areAlive(ended, spared, other)).toEqual([false, true, false]);
      expect(await session('user', ended.sessionId)).toMatchObject({ status: 'ended' });
      expect(await session('user', spared.sessionId)).toMatchObject({ status: 'active' });
      expect(await session('user', other.sessionId)).toMatchObject({ status: 'ended' });
    });

    test.concurrent('refuses what is too long or of another kind, and points at it', async () => {
      const { send } = await newOrganization(service);
      const refusals: [object, string][] = [
        [{ reason: 'x'.repeat(501) }, '/reason'],
        [{ reason: 1 }, '/reason'],
        [{ exceptSessionIds: Array.from({ length: 101 }, () => newId('session')) }, '/exceptSessionIds'],
        [{ exceptSessionIds: 'all' }, '/exceptSessionIds'],
        [{ includeOwn: 'yes' }, '/includeOwn'],
      ];
      for (const [body, pointer] of refusals)
        (await send('POST', '/users/user/sessions/terminate', { body })).invalid(pointer);
      const body = {
        reason: 'x'.repeat(500),
        exceptSessionIds: Array.from({ length: 100 }, () => newId('session')),
        includeOwn: false,
      };
      expect((await send('POST', '/users/user/sessions/terminate', { body })).status).toBe(200);
    });
  });

  describe('ending all sessions of an organization', () => {
    test.concurrent('ends everybody’s but the caller’s own', async () => {
      const { id, admin, signIn, send, sessions } = await newOrganization(service);
      const colleague = await orgAdmin(service, id);
      const chains = [
        await signIn('one'),
        await signIn('two'),
        await signIn(colleague.userId, { sessionId: colleague.sessionId }),
      ];
      const own = await signIn(admin.userId, { sessionId: admin.sessionId });
      const termination = (await send('POST', '/sessions/terminate')).as(200, Termination);
      expect(termination).toMatchObject({
        scope: { kind: 'organization', id },
        sessions: { total: 3, pending: 0 },
        chains: { total: 3, confirmed: 3 },
      });
      expect(areAlive(...chains, own)).toEqual([false, false, false, true]);
      expect(await sessions('one', 'status=active')).toEqual([]);
      const next = await send('GET', '/terminations', { as: colleague.token });
      next.refused(401, 'session-ended');
    });
  });
}
