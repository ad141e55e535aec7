import { describe, expect, test } from 'vitest';
import { eventually } from '../eventually.ts';
import { inSeconds, newId, newOrganization, type Organization } from '../organization.ts';
import { machine } from '../people.ts';
import { type Event, type EventResult, event, record } from '../session-events.ts';
import type { Service } from '../service.ts';
import { EventResults, ValidationProblem } from '../shapes.ts';

const outcomes = (results: EventResult[]) =>
  results.map(({ outcome, reason }) => (reason ? `${outcome} ${reason}` : outcome));

/** What the Auth Module tells, at least once and in any order. */
export function sessionEvents(service: Service): void {
  const send = async (events: Partial<Event>[], more?: object) =>
    record(service, await machine(service, 'sessions:ingest'), events, more);
  const aSession = (organization: Organization, fields: Partial<Event> = {}) => ({
    organizationId: organization.id,
    userId: 'user',
    sessionId: newId('session'),
    startedAt: inSeconds(-60),
    ...fields,
  });

  describe('session events', () => {
    test.concurrent('a start is listed with every field that was told', async () => {
      const organization = await newOrganization(service);
      const started = aSession(organization, {
        expiresAt: inSeconds(3_600),
        ipAddress: '203.0.113.7',
        userAgent: 'Mozilla/5.0 (outside)',
        client: 'web',
        authenticationMethods: ['pwd', 'otp'],
        chainId: newId('chain'),
      });
      expect(outcomes(await send([{ type: 'session.started', ...started }]))).toEqual(['accepted']);
      expect(await organization.sessions('user', 'status=active')).toEqual([
        {
          id: started.sessionId,
          userId: 'user',
          organizationId: organization.id,
          status: 'active',
          startedAt: started.startedAt,
          lastSeenAt: started.startedAt,
          expiresAt: started.expiresAt,
          endedAt: null,
          endReason: null,
          ipAddress: '203.0.113.7',
          userAgent: 'Mozilla/5.0 (outside)',
          client: 'web',
          authenticationMethods: ['pwd', 'otp'],
          current: false,
          supportAccessGrantId: null,
          terminationId: null,
          refreshTokenChains: { alive: 1, dead: 0 },
        },
      ]);
    });

    test.concurrent('what was not told is null, and the caller’s own session is marked', async () => {
      const organization = await newOrganization(service);
      const { userId, sessionId } = organization.admin;
      await send([{ type: 'session.started', ...aSession(organization, { userId, sessionId }) }]);
      expect(await organization.sessions(userId)).toMatchObject([
        {
          current: true,
          expiresAt: null,
          ipAddress: null,
          userAgent: null,
          client: null,
          authenticationMethods: [],
          refreshTokenChains: { alive: 0, dead: 0 },
        },
      ]);
    });

    test.concurrent('results come in the order of the events, whatever becomes of each', async () => {
      const organization = await newOrganization(service);
      const { sessionId } = await organization.signIn('gone');
      await organization.send('POST', `/sessions/${sessionId}/terminate`);
      const one = event({ type: 'session.started', ...aSession(organization) });
      const results = await send([
        one,
        { type: 'session.refreshed', ...aSession(organization, { userId: 'gone', sessionId }) },
        one,
        { type: 'chain.started', ...aSession(organization, { chainId: newId('chain') }) },
      ]);
      expect(outcomes(results)).toEqual(['accepted', 'rejected session-ended', 'duplicate', 'accepted']);
    });

    test.concurrent('an event that comes again is a duplicate, and changes nothing', async () => {
      const organization = await newOrganization(service);
      const one = event({ type: 'session.started', ...aSession(organization, { chainId: newId('chain') }) });
      expect(outcomes(await send([one]))).toEqual(['accepted']);
      const before = await organization.sessions('user');
      expect(outcomes(await send([one]))).toEqual(['duplicate']);
      expect(await organization.sessions('user')).toEqual(before);
    });

    test.concurrent('a refresh moves the last activity and the end, and one that comes late is stale', async () => {
      const organization = await newOrganization(service);
      const session = aSession(organization, { startedAt: inSeconds(-100) });
      const refreshed = (seconds: number, expiresAt: string) => ({
        ...session,
        type: 'session.refreshed' as const,
        occurredAt: inSeconds(seconds),
        expiresAt,
      });
      const [early, late] = [refreshed(-50, inSeconds(500)), refreshed(-10, inSeconds(900))];
      const results = await send([{ type: 'session.started', ...session }, late, early]);
      expect(outcomes(results)).toEqual(['accepted', 'accepted', 'stale']);
      expect(await organization.sessions('user')).toMatchObject([
        { lastSeenAt: late.occurredAt, expiresAt: late.expiresAt },
      ]);
    });

    test.concurrent.each(['session.started', 'session.refreshed', 'chain.started'] as const)(
      '%s may come first: it makes the session',
      async (type) => {
        const organization = await newOrganization(service);
        const session = aSession(organization, { chainId: newId('chain') });
        expect(outcomes(await send([{ type, ...session, occurredAt: inSeconds(-5) }]))).toEqual(['accepted']);
        expect(await organization.sessions('user', 'status=active')).toMatchObject([
          { id: session.sessionId, startedAt: session.startedAt, status: 'active' },
        ]);
      },
    );

    test.concurrent('of two starts that differ the earlier counts', async () => {
      const organization = await newOrganization(service);
      const session = aSession(organization);
      const earlier = inSeconds(-600);
      await send([
        { type: 'session.refreshed', ...session, occurredAt: inSeconds(-5) },
        { type: 'session.started', ...session, startedAt: earlier },
      ]);
      expect(await organization.sessions('user')).toMatchObject([{ startedAt: earlier }]);
    });

    test.concurrent('each chain of a session is counted', async () => {
      const organization = await newOrganization(service);
      const session = aSession(organization);
      await send([
        { type: 'session.started', ...session, chainId: newId('chain') },
        { type: 'chain.started', ...session, chainId: newId('chain') },
      ]);
      expect(await organization.sessions('user')).toMatchObject([{ refreshTokenChains: { alive: 2, dead: 0 } }]);
    });

    test.concurrent('a session that ended is listed as signed out, and no start brings it back', async () => {
      const organization = await newOrganization(service);
      const session = aSession(organization);
      const occurredAt = inSeconds(-5);
      await send([
        { type: 'session.started', ...session },
        { type: 'session.ended', ...session, occurredAt },
      ]);
      const ended = { id: session.sessionId, status: 'ended', endReason: 'signed-out', endedAt: occurredAt };
      // where nothing else is asked for, the active ones are listed
      expect(await organization.sessions('user', 'limit=50')).toEqual([]);
      expect(await organization.sessions('user', 'status=ended')).toMatchObject([ended]);
      const [again] = await send([{ type: 'session.started', ...session, startedAt: inSeconds(-1) }]);
      expect(again!.outcome).not.toBe('accepted');
      expect(await organization.sessions('user', 'status=active')).toEqual([]);
      expect(await organization.sessions('user')).toMatchObject([ended]);
    });

    test.concurrent('an end that comes first leaves a tombstone, behind which nothing starts', async () => {
      const organization = await newOrganization(service);
      const session = aSession(organization);
      expect(outcomes(await send([{ type: 'session.ended', ...session }]))).toEqual(['accepted']);
      const [start] = await send([{ type: 'session.started', ...session }]);
      expect(start!.outcome).not.toBe('accepted');
      expect(await organization.sessions('user', 'status=active')).toEqual([]);
    });

    test.concurrent('an expired session is listed with the ended, and a later end brings it back', async () => {
      const organization = await newOrganization(service);
      const session = aSession(organization);
      await send([{ type: 'session.started', ...session, expiresAt: inSeconds(-10) }]);
      expect(await organization.sessions('user', 'status=active')).toEqual([]);
      expect(await organization.sessions('user', 'status=ended')).toMatchObject([
        { status: 'expired', endReason: 'expired' },
      ]);
      const refreshed = { ...session, occurredAt: inSeconds(-5), expiresAt: inSeconds(600) };
      expect(outcomes(await send([{ type: 'session.refreshed', ...refreshed }]))).toEqual(['accepted']);
      expect(await organization.sessions('user', 'status=active')).toMatchObject([{ status: 'active', endedAt: null }]);
    });

    test.concurrent('expiry is exact: nothing has to run for it', async () => {
      const organization = await newOrganization(service);
      const expiresAt = inSeconds(1.5);
      await send([{ type: 'session.started', ...aSession(organization), expiresAt }]);
      const list = () => organization.sessions('user', 'status=active');
      const gone = await eventually(
        async () => ({ askedAt: Date.now(), active: await list(), answeredAt: Date.now() }),
        (seen) => seen.active.length === 0,
      );
      expect(gone.answeredAt).toBeGreaterThanOrEqual(Date.parse(expiresAt));
      expect(gone.askedAt - Date.parse(expiresAt)).toBeLessThan(1_000);
    });

    test.concurrent('a malformed event rejects itself, and never its batch', async () => {
      const organization = await newOrganization(service);
      const good = () => ({ type: 'session.started' as const, ...aSession(organization) });
      const { userId: _missing, ...withoutUser } = good();
      const results = await send([
        good(),
        withoutUser,
        { ...good(), startedAt: 'yesterday' },
        { ...good(), type: 'session.paused' as never },
        { ...good(), sessionId: 'x'.repeat(256) },
        good(),
      ]);
      expect(outcomes(results)).toEqual([
        'accepted',
        'rejected invalid',
        'rejected invalid',
        'rejected invalid',
        'rejected invalid',
        'accepted',
      ]);
      expect(await organization.sessions('user')).toHaveLength(2);
    });

    test.concurrent('a thousand events are a call, and one more is refused whole', async () => {
      const organization = await newOrganization(service);
      const many = (count: number) =>
        Array.from({ length: count }, () => event({ type: 'session.started', ...aSession(organization) }));
      const post = async (events: object[]) =>
        service.api.send('POST', '/v1/session-events', {
          as: await machine(service, 'sessions:ingest'),
          body: { events },
        });
      (await post(many(1_001))).refused(422, 'validation-failed', ValidationProblem);
      expect(await organization.sessions('user')).toEqual([]);
      const { results } = (await post(many(1_000))).as(200, EventResults);
      expect(new Set(outcomes(results))).toEqual(new Set(['accepted']));
      expect(results).toHaveLength(1_000);
    });
  });

  describe('session events of what was ended', () => {
    test.concurrent('a start from before a fence is rejected, each time, and its chain dies', async () => {
      const organization = await newOrganization(service);
      const { cutoff } = await organization.terminateAll('user');
      const session = aSession(organization, { chainId: newId('chain'), startedAt: cutoff });
      const chain = { ...session, sessionStartedAt: cutoff, chainId: session.chainId!, supportAccessGrantId: null };
      service.authModule.open(chain);
      const start = event({ type: 'session.started', ...session });
      expect(outcomes(await send([start]))).toEqual(['rejected fenced']);
      expect(outcomes(await send([start]))).toEqual(['rejected fenced']);
      expect(await organization.sessions('user', 'status=active')).toEqual([]);
      expect(await organization.sessions('user')).toMatchObject([{ id: session.sessionId, status: 'ended' }]);
      await eventually(
        () => service.authModule.isAlive(chain),
        (alive) => !alive,
      );
      // by a termination of what the fence is for, no later than the fence; one that still verifies may have done it
      for (const one of await organization.terminations())
        expect([one.scope, one.cutoff]).toEqual([{ kind: 'user', id: 'user' }, cutoff]);
    });

    test.concurrent('a start from after the fence is accepted', async () => {
      const organization = await newOrganization(service);
      const { cutoff } = await organization.terminateAll('user');
      const startedAt = new Date(Date.parse(cutoff) + 1).toISOString();
      const session = aSession(organization, { startedAt });
      expect(outcomes(await send([{ type: 'session.started', ...session }]))).toEqual(['accepted']);
      await organization.signIn('another-user', { startedAt: inSeconds(-600) });
    });

    test.concurrent.each(['chain.started', 'session.refreshed'] as const)(
      '%s of a terminated session is rejected, and its chain dies',
      async (type) => {
        const organization = await newOrganization(service);
        const signedIn = await organization.signIn('user');
        await organization.send('POST', `/sessions/${signedIn.sessionId}/terminate`);
        const late = { ...signedIn, chainId: newId('chain') };
        service.authModule.open(late);
        const session = aSession(organization, { sessionId: signedIn.sessionId, startedAt: signedIn.sessionStartedAt });
        const results = await send([{ type, ...session, chainId: late.chainId, occurredAt: inSeconds(0) }]);
        expect(outcomes(results)).toEqual(['rejected session-ended']);
        await eventually(
          () => service.authModule.isAlive(late),
          (alive) => !alive,
        );
        const scope = { kind: 'session', id: signedIn.sessionId };
        for (const one of await organization.terminations()) expect(one.scope).toEqual(scope);
      },
    );
  });
}
