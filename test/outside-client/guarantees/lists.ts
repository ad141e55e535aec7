import { describe, expect, test } from 'vitest';
import { inSeconds, newId, newOrganization } from '../organization.ts';
import { machine } from '../people.ts';
import { event } from '../session-events.ts';
import type { Service } from '../service.ts';
import { page, Session } from '../shapes.ts';

const lists = ['/users/user/sessions', '/terminations', '/support-access-grants', '/audit-events'];

/** What every list has in common: its query, its pages, its cursors. */
export function pagedLists(service: Service): void {
  describe('queries', () => {
    test.concurrent.each(lists)('%s: limit is 1 to 200, a number, and never clamped', async (list) => {
      const { send } = await newOrganization(service);
      for (const limit of ['0', '201', '-1', '1.5', 'abc', ''])
        expect((await send('GET', `${list}?limit=${limit}`)).status, limit).toBe(422);
      (await send('GET', `${list}?limit=0`)).invalid();
      for (const limit of ['1', '200']) expect((await send('GET', `${list}?limit=${limit}`)).status, limit).toBe(200);
    });

    test.concurrent.each(lists)('%s: an unknown parameter is 422', async (list) => {
      const { send } = await newOrganization(service);
      (await send('GET', `${list}?page=2`)).invalid();
    });

    test.concurrent('a status that is none is 422', async () => {
      const { send } = await newOrganization(service);
      (await send('GET', '/users/user/sessions?status=asleep')).invalid();
    });

    test.concurrent.each(lists)('%s: a cursor nobody gave out is 400', async (list) => {
      const { send } = await newOrganization(service);
      for (const cursor of ['x', 'bm90LWEtY3Vyc29y', Buffer.from('{"id":"0"}').toString('base64url')])
        (await send('GET', `${list}?cursor=${cursor}`)).refused(400, 'invalid-cursor');
    });

    test.concurrent('pages follow one another, newest activity first, and none is missed or repeated', async () => {
      const { send, signIn } = await newOrganization(service);
      const newestFirst: string[] = [];
      for (let seconds = 50; seconds > 0; seconds -= 10)
        newestFirst.unshift((await signIn('user', { startedAt: inSeconds(-seconds) })).sessionId);
      const pages: string[][] = [];
      let query = 'limit=2';
      for (;;) {
        const { items, nextCursor } = (await send('GET', `/users/user/sessions?${query}`)).as(200, page(Session));
        pages.push(items.map(({ id }) => id));
        if (nextCursor === null) break;
        query = `limit=2&cursor=${encodeURIComponent(nextCursor)}`;
      }
      expect(pages.map(({ length }) => length)).toEqual([2, 2, 1]);
      expect(pages.flat()).toEqual(newestFirst);
    });

    test.concurrent('fifty is a page where no limit is given', async () => {
      const { id, send } = await newOrganization(service);
      const events = Array.from({ length: 51 }, (_, index) =>
        event({
          type: 'session.started',
          organizationId: id,
          userId: 'user',
          sessionId: newId('session'),
          startedAt: inSeconds(-index - 1),
        }),
      );
      const as = await machine(service, 'sessions:ingest');
      await service.api.send('POST', '/v1/session-events', { as, body: { events } });
      const first = (await send('GET', '/users/user/sessions')).as(200, page(Session));
      expect(first.items).toHaveLength(50);
      const rest = (await send('GET', `/users/user/sessions?cursor=${first.nextCursor}`)).as(200, page(Session));
      expect(rest).toMatchObject({ items: [{ id: events[50]!.sessionId }], nextCursor: null });
    });

    test.concurrent('a cursor counts for its own list alone', async () => {
      const [organization, other] = [await newOrganization(service), await newOrganization(service)];
      for (let count = 0; count < 2; count += 1) await organization.signIn('user');
      const first = await organization.send('GET', '/users/user/sessions?limit=1');
      const { nextCursor } = first.as(200, page(Session));
      expect(nextCursor).not.toBeNull();
      const query = `limit=1&cursor=${encodeURIComponent(nextCursor!)}`;
      expect((await organization.send('GET', `/users/user/sessions?${query}`)).status).toBe(200);
      for (const list of ['/terminations', '/support-access-grants', '/audit-events', '/users/another/sessions'])
        (await organization.send('GET', `${list}?${query}`)).refused(400, 'invalid-cursor');
      (await other.send('GET', `/users/user/sessions?${query}`)).refused(400, 'invalid-cursor');
    });
  });
}
