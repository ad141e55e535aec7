import { describe, expect, it } from 'vitest';
import type { SessionView } from '../../src/rules/session.ts';
import { call, tokens } from '../harness/client.ts';
import { event, report, started } from '../harness/events.ts';
import { useStack } from '../harness/stack.ts';
import { observer, terminate } from '../harness/terminations.ts';
import { expectAnswersDeclared } from './declared-answers.ts';
import { plantGrant } from './planted-organization.ts';

const stack = useStack({ worker: false });
expectAnswersDeclared(stack);

interface SessionPage {
  items: SessionView[];
  nextCursor: string | null;
}
const page = async (organizationId: string, userId: string, query = '', token?: string) =>
  call<SessionPage>(
    stack,
    'GET',
    `/v1/organizations/${organizationId}/users/${encodeURIComponent(userId)}/sessions${query}`,
    { token: token ?? (await observer(stack, organizationId)) },
  );

/** Every page from the first to the end, each of its full length but the last. */
async function walk(organizationId: string, userId: string, limit: number, status = 'active'): Promise<SessionView[]> {
  const found: SessionView[] = [];
  for (let cursor: string | null = ''; cursor !== null;) {
    const { status: code, body }: { status: number; body: SessionPage } = await page(
      organizationId,
      userId,
      `?limit=${limit}&status=${status}${cursor === '' ? '' : `&cursor=${cursor}`}`,
    );
    expect(code).toBe(200);
    if (body.nextCursor !== null) expect(body.items).toHaveLength(limit);
    expect(body.items.length).toBeLessThanOrEqual(limit);
    if (cursor !== '') expect(body.items.length).toBeGreaterThan(0);
    found.push(...body.items);
    cursor = body.nextCursor;
  }
  return found;
}
const ids = (sessions: readonly SessionView[]): string[] => sessions.map(({ id }) => id);
const minutesAgo = (minutes: number): string => new Date(Date.now() - minutes * 60_000).toISOString();

/** 23 sessions at five instants, so that most pages end between rows of one instant. */
async function plantEqualInstants(organizationId: string): Promise<string[]> {
  const sketches = Array.from({ length: 23 }, (_, n) => ({
    organizationId,
    userId: 'grace',
    sessionId: `s-${String((n * 7) % 23).padStart(2, '0')}`,
    startedAt: `2026-01-0${1 + (n % 5)}T10:00:00.000Z`,
  }));
  await report(
    stack,
    sketches.map((sketch) => started(sketch)),
  );
  return sketches
    .toSorted((a, b) =>
      a.startedAt === b.startedAt ? (a.sessionId < b.sessionId ? 1 : -1) : a.startedAt < b.startedAt ? 1 : -1,
    )
    .map(({ sessionId }) => sessionId);
}

describe('paging', () => {
  it('loses and doubles no session, whatever the size of the pages and however many are of one instant', async () => {
    const newestFirst = await plantEqualInstants('paged');
    for (const limit of [1, 2, 3, 4, 5, 6, 7, 22, 23, 24, 200])
      expect(ids(await walk('paged', 'grace', limit)), `limit ${limit}`).toEqual(newestFirst);
    expect(ids((await page('paged', 'grace')).body.items)).toEqual(newestFirst);
  });

  it('asked for by many at once shows each their own, of their organization and user, from their place on', async () => {
    const organizations = ['crowd-1', 'crowd-2'];
    const users = ['u1', 'u2', 'nobody'];
    await report(
      stack,
      organizations.flatMap((organizationId) =>
        ['u1', 'u2'].flatMap((userId) =>
          Array.from({ length: 9 }, (_, n) =>
            started({
              organizationId,
              userId,
              sessionId: `${userId}-${n}-of-${organizationId}`,
              startedAt: minutesAgo(n),
            }),
          ),
        ),
      ),
    );
    await terminate(stack, 'crowd-1', 'sessions/u1-4-of-crowd-1/terminate');
    const expected = (organizationId: string, userId: string, status: string) =>
      Array.from({ length: userId === 'nobody' ? 0 : 9 }, (_, n) => `${userId}-${n}-of-${organizationId}`).filter(
        (id) => status === 'all' || (status === 'ended') === (id === 'u1-4-of-crowd-1'),
      );
    const questions = organizations.flatMap((organizationId) =>
      users.flatMap((userId) =>
        ['active', 'ended', 'all'].flatMap((status) =>
          [1, 4, 50].map((limit) => ({ organizationId, userId, status, limit })),
        ),
      ),
    );
    await Promise.all(
      questions.map(async ({ organizationId, userId, status, limit }) =>
        expect(ids(await walk(organizationId, userId, limit, status)), `${userId} ${status} ${limit}`).toEqual(
          expected(organizationId, userId, status),
        ),
      ),
    );
  });

  it('goes on after the row that a cursor stands for, though that row is over or newer rows came', async () => {
    const newestFirst = await plantEqualInstants('moving');
    const first = await page('moving', 'grace', '?limit=5');
    await report(stack, [
      started({ organizationId: 'moving', userId: 'grace', sessionId: 'newer' }),
      event('session.ended', {
        organizationId: 'moving',
        userId: 'grace',
        sessionId: newestFirst[4] ?? '',
        startedAt: '2026-01-05T10:00:00.000Z',
      }),
    ]);
    const second = await page('moving', 'grace', `?limit=5&cursor=${first.body.nextCursor}`);
    expect(ids(second.body.items)).toEqual(newestFirst.slice(5, 10));
  });

  it('refuses a limit that is not a whole number from 1 to 200', async () => {
    for (const limit of ['0', '201', 'abc', '-1', '1.5', '1e2', '', ' 5', '05', '٥', '9'.repeat(40)]) {
      const { status, body } = await page('paged', 'grace', `?limit=${encodeURIComponent(limit)}`);
      expect({ status, body }, limit).toMatchObject({
        status: 422,
        body: { code: 'validation-failed', errors: [{ pointer: '?limit' }] },
      });
    }
    expect((await page('paged', 'grace', '?limit=200')).status).toBe(200);
  });

  it('refuses a cursor that was tampered with, or is of another list, organization, user or filter', async () => {
    for (const organizationId of ['cursors', 'cursors-2']) {
      await plantEqualInstants(organizationId);
      await report(
        stack,
        ['a', 'b'].map((sessionId) => started({ organizationId, userId: 'other', sessionId })),
      );
      for (const sessionId of ['a', 'b']) await terminate(stack, organizationId, `sessions/${sessionId}/terminate`);
    }
    const cursorOf = async (organizationId: string, path: string) => {
      const { body } = await call<SessionPage>(stack, 'GET', `/v1/organizations/${organizationId}/${path}`, {
        token: await observer(stack, organizationId),
      });
      return body.nextCursor ?? expect.unreachable();
    };
    const own = await cursorOf('cursors', 'users/grace/sessions?limit=2');
    expect((await page('cursors', 'grace', `?cursor=${own}`)).status).toBe(200);
    const bytes = Buffer.from(own, 'base64url');
    const tampered = Array.from({ length: bytes.length }, (_, n) =>
      Buffer.from(bytes.map((byte, m) => (m === n ? byte ^ 1 : byte))).toString('base64url'),
    );
    const foreign = [
      await cursorOf('cursors-2', 'users/grace/sessions?limit=2'),
      await cursorOf('cursors', 'users/grace/sessions?limit=2&status=all'),
      await cursorOf('cursors', 'users/other/sessions?limit=1&status=ended'),
      await cursorOf('cursors', 'terminations?limit=1'),
      await cursorOf('cursors', 'audit-events?limit=1'),
    ];
    const made = [
      '',
      'x',
      `${own}x`,
      own.slice(1),
      own.slice(0, -4),
      `${own}==`,
      own.toUpperCase(),
      Buffer.from('["2026-01-01T00:00:00.000Z","s-01"]').toString('base64url'),
      '%00',
      'null',
    ];
    for (const cursor of [...tampered, ...foreign, ...made]) {
      const { status, body } = await page('cursors', 'grace', `?limit=2&cursor=${encodeURIComponent(cursor)}`);
      expect({ status, body }, cursor).toMatchObject({ status: 400, body: { code: 'invalid-cursor' } });
    }
    // and a cursor of this list is of no use in another
    for (const path of [
      `terminations?cursor=${own}`,
      `audit-events?cursor=${own}`,
      `support-access-grants?cursor=${own}`,
      `users/grace/sessions?status=ended&cursor=${own}`,
    ]) {
      const answer = await call(stack, 'GET', `/v1/organizations/cursors/${path}`, {
        token: await observer(stack, 'cursors'),
      });
      expect({ status: answer.status, code: answer.body['code'] }, path).toEqual({
        status: 400,
        code: 'invalid-cursor',
      });
    }
  });
});

describe('order and status', () => {
  it('newest start first: a refresh shows as activity and moves nothing', async () => {
    const own = { organizationId: 'ordered', userId: 'grace' };
    await report(
      stack,
      [3, 2, 1].map((n) => started({ ...own, sessionId: `s${n}`, startedAt: minutesAgo(10 * n) })),
    );
    expect(ids(await walk('ordered', 'grace', 50))).toEqual(['s1', 's2', 's3']);
    await report(stack, [
      event('session.refreshed', { ...own, sessionId: 's3', startedAt: minutesAgo(30), occurredAt: minutesAgo(1) }),
    ]);
    const listed = await walk('ordered', 'grace', 50);
    expect(ids(listed)).toEqual(['s1', 's2', 's3']);
    expect(listed[2]?.lastSeenAt.slice(0, 16)).toBe(minutesAgo(1).slice(0, 16));
  });

  it('the order is that of the starts as first recorded: an earlier start that is told later is shown, and moves nothing', async () => {
    const own = { organizationId: 'restarted', userId: 'grace' };
    await report(
      stack,
      [3, 2, 1].map((n) => started({ ...own, sessionId: `s${n}`, startedAt: minutesAgo(10 * n) })),
    );
    const earlier = minutesAgo(60);
    await report(stack, [started({ ...own, sessionId: 's1', startedAt: earlier })]);
    const listed = await walk('restarted', 'grace', 1);
    expect(ids(listed)).toEqual(['s1', 's2', 's3']);
    expect(listed[0]?.startedAt).toBe(earlier);
    await expect(
      stack.database.query(`update sessions set first_started_at = now() where organization_id = 'restarted'`),
    ).rejects.toThrow(/never changes/);
  });

  it('`active`, `ended` and `all` part the sessions, and expiry is read by the clock alone', async () => {
    const own = { organizationId: 'statuses', userId: 'grace' };
    await report(stack, [
      started({ ...own, sessionId: 'endless' }),
      started({ ...own, sessionId: 'expiring', expiresAt: new Date(Date.now() + 60_000).toISOString() }),
      started({ ...own, sessionId: 'signed-out' }),
      event('session.ended', { ...own, sessionId: 'signed-out' }),
      started({ ...own, sessionId: 'terminated', startedAt: minutesAgo(1) }),
    ]);
    await terminate(stack, 'statuses', 'sessions/terminated/terminate');
    const shown = async (status: string) =>
      (await walk('statuses', 'grace', 2, status))
        .map((session) => `${session.id}: ${session.status} ${session.endReason ?? ''}`.trim())
        .toSorted();
    const over = ['signed-out: ended signed-out', 'terminated: ended terminated'];
    expect(await shown('active')).toEqual(['endless: active', 'expiring: active']);
    expect(await shown('ended')).toEqual(over);
    await stack.database.moveClock(59_000);
    expect(await shown('active')).toEqual(['endless: active', 'expiring: active']);
    await stack.database.moveClock(1_500);
    expect(await shown('active')).toEqual(['endless: active']);
    expect(await shown('ended')).toEqual(['expiring: expired expired', ...over]);
    expect(await shown('all')).toEqual(['endless: active', 'expiring: expired expired', ...over]);
    await stack.database.moveClock(-60_500);
    // a later end brings an expired session back, for expired is not ended
    await report(stack, [
      event('session.refreshed', {
        ...own,
        sessionId: 'expiring',
        expiresAt: new Date(Date.now() + 120_000).toISOString(),
      }),
    ]);
    await stack.database.moveClock(90_000);
    expect(await shown('active')).toEqual(['endless: active', 'expiring: active']);
    await stack.database.moveClock(-90_000);
  });

  it('a status that is none of the three is refused', async () => {
    for (const status of ['expired', 'Active', '', 'active,ended'])
      expect((await page('statuses', 'grace', `?status=${status}`)).body).toMatchObject({
        status: 422,
        errors: [{ pointer: '?status' }],
      });
  });

  it('a fence empties the list from its commit on, before any row is touched', async () => {
    await report(
      stack,
      ['a', 'b'].map((sessionId) => started({ organizationId: 'fence', userId: 'grace', sessionId })),
    );
    const { body } = await terminate(stack, 'fence', 'sessions/terminate');
    expect(await walk('fence', 'grace', 50)).toEqual([]);
    const ended = await walk('fence', 'grace', 1, 'ended');
    expect(
      ended.map(({ status, endReason, endedAt, terminationId }) => ({ status, endReason, endedAt, terminationId })),
    ).toEqual(
      Array.from({ length: 2 }, () => ({
        status: 'ended',
        endReason: 'terminated',
        endedAt: body.requestedAt,
        terminationId: body.id,
      })),
    );
    expect(
      await stack.database.query(`select 1 from sessions where organization_id = 'fence' and ended_at is not null`),
    ).toEqual([]);
  });
});

describe('what is shown', () => {
  it('exactly the fields of a session, with what the Auth Module told of it', async () => {
    const told = {
      organizationId: 'fields',
      userId: 'grace',
      sessionId: 's1',
      startedAt: '2026-02-03T04:05:06.789+02:00',
      expiresAt: '2036-02-03T04:05:06Z',
      ipAddress: '2001:db8::1',
      userAgent: 'Mozilla/5.0 (”quoted“, 雪)',
      client: 'web',
      authenticationMethods: ['pwd', 'otp'],
      chainId: 'c1',
    };
    await report(stack, [
      started(told),
      event('chain.started', { ...told, chainId: 'c2', occurredAt: '2026-02-03T03:00:00.000Z' }),
    ]);
    const { body } = await page('fields', 'grace');
    expect(body).toEqual({
      items: [
        {
          id: 's1',
          userId: 'grace',
          organizationId: 'fields',
          status: 'active',
          startedAt: '2026-02-03T02:05:06.789Z',
          lastSeenAt: '2026-02-03T03:00:00.000Z',
          expiresAt: '2036-02-03T04:05:06.000Z',
          endedAt: null,
          endReason: null,
          ipAddress: '2001:db8::1',
          userAgent: 'Mozilla/5.0 (”quoted“, 雪)',
          client: 'web',
          authenticationMethods: ['pwd', 'otp'],
          current: false,
          supportAccessGrantId: null,
          terminationId: null,
          refreshTokenChains: { alive: 2, dead: 0 },
        },
      ],
      nextCursor: null,
    });
    await report(stack, [started({ organizationId: 'fields', userId: 'plain', sessionId: 's2' })]);
    expect((await page('fields', 'plain')).body.items[0]).toMatchObject({
      expiresAt: null,
      ipAddress: null,
      userAgent: null,
      client: null,
      authenticationMethods: [],
      refreshTokenChains: { alive: 0, dead: 0 },
    });
  });

  it('`current` is the caller’s own session, and no other', async () => {
    await report(
      stack,
      ['mine', 'other'].map((sessionId) => started({ organizationId: 'current', userId: 'boss', sessionId })),
    );
    const token = await tokens(stack.issuer).orgAdmin('current', { sub: 'boss', sid: 'mine' });
    expect(
      (await page('current', 'boss', '', token)).body.items.map(({ id, current }) => `${id} ${current}`).toSorted(),
    ).toEqual(['mine true', 'other false']);
  });

  it('a session under a grant ends for the reader with the grant, and shows the sooner end', async () => {
    const grantId = await plantGrant(stack, 'granted');
    await report(stack, [
      started({
        organizationId: 'granted',
        userId: 'staff',
        sessionId: 'visit',
        supportAccessGrantId: grantId,
        parentSession: { organizationId: 'vendor', sessionId: 'x' },
        expiresAt: '2036-01-01T00:00:00Z',
      }),
    ]);
    const [grant] = await stack.database.query<{ expires_at: Date }>(
      'select expires_at from support_access_grants where id = $1',
      [grantId],
    );
    const [visit] = (await page('granted', 'staff')).body.items;
    expect(visit).toMatchObject({
      status: 'active',
      supportAccessGrantId: grantId,
      expiresAt: grant?.expires_at.toISOString(),
    });
    await stack.database.moveClock(3_700_000);
    expect((await page('granted', 'staff', '?status=ended')).body.items).toMatchObject([
      { id: 'visit', status: 'ended', endReason: 'support-access-ended' },
    ]);
    expect((await page('granted', 'staff')).body.items).toEqual([]);
    await stack.database.moveClock(-3_700_000);
  });

  it('a user of two organizations has two lists, and one who is unknown here an empty one', async () => {
    await report(
      stack,
      ['one', 'two'].map((organizationId) =>
        started({ organizationId, userId: 'consultant', sessionId: `of-${organizationId}` }),
      ),
    );
    expect(ids((await page('one', 'consultant')).body.items)).toEqual(['of-one']);
    expect(ids((await page('two', 'consultant')).body.items)).toEqual(['of-two']);
    for (const userId of ['nobody', 'grace', 'a/b?c#d', '☃', ' ', '%2F', '..x'])
      expect((await page('one', userId, '?status=all')).body, userId).toEqual({ items: [], nextCursor: null });
  });

  it('an id is one id however its path is spelled', async () => {
    await report(stack, [started({ organizationId: 'a/b é', userId: 'grace hopper/雪', sessionId: 'spelled' })]);
    const token = await observer(stack, 'a/b é');
    for (const path of [
      'a%2Fb%20%C3%A9/users/grace%20hopper%2F%E9%9B%AA',
      'a%2fb%20%c3%a9/users/%67race%20hopper%2f%e9%9b%aa',
    ]) {
      const { body } = await call<SessionPage>(stack, 'GET', `/v1/organizations/${path}/sessions`, { token });
      expect(ids(body.items)).toEqual(['spelled']);
    }
  });
});
