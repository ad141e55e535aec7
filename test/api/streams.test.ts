import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { TerminationView } from '../../src/rules/termination.ts';
import { call, eventually, tokens } from '../harness/client.ts';
import { useStack } from '../harness/stack.ts';
import { hurry, observer, signIn, terminate, untilCompleted } from '../harness/terminations.ts';
import { openReader } from './open-reader.ts';
import { plantGrant } from './planted-organization.ts';

const stack = useStack({ environment: { VERIFY_AFTER_SECONDS: '1', ACCESS_TOKEN_TTL_SECONDS: '2' } });

const watch = async (
  organizationId: string,
  id: string,
  { token, lastEventId }: { token?: string; lastEventId?: string } = {},
) =>
  openReader(
    stack,
    `/v1/organizations/${organizationId}/terminations/${id}/events`,
    token ?? (await observer(stack, organizationId)),
    lastEventId === undefined ? {} : { 'last-event-id': lastEventId },
  );

interface Event {
  id: string;
  termination: TerminationView;
}
/** What an EventSource makes of the text. */
const eventsOf = (text: string): Event[] =>
  text.split('\n\n').flatMap((block) => {
    const fields = new Map(
      block.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()]),
    );
    return fields.get('event') === 'termination'
      ? [{ id: fields.get('id') ?? '', termination: JSON.parse(fields.get('data') ?? '') as TerminationView }]
      : [];
  });

/** A termination that runs for as long as the test wants it to. */
async function running(organizationId: string) {
  const mend = stack.authModule.inject(
    { kind: 'status', status: 503, retryAfter: '1' },
    { when: (asked) => asked.organizationId === organizationId },
  );
  await signIn(stack, { organizationId, userId: 'grace', sessionId: 's1', chainIds: ['c1'] });
  const { body } = await terminate(stack, organizationId, 'users/grace/sessions/terminate');
  return { id: body.id, mend: async () => (mend(), await hurry(stack, body.id)) };
}

describe('the events of a termination', () => {
  it('come with each change until it is verified, where the stream ends', async () => {
    const { id, mend } = await running('watched');
    const watcher = await watch('watched', id);
    expect([watcher.status, watcher.headers['content-type'], watcher.headers['cache-control']]).toEqual([
      200,
      'text/event-stream; charset=utf-8',
      'no-store',
    ]);
    await eventually(
      async () => eventsOf(watcher.text),
      (events) => events.length > 0,
    );
    await mend();
    expect(await watcher.closed).toBe('whole');
    const shown = eventsOf(watcher.text).map(({ termination }) => termination);
    expect(shown[0]).toMatchObject({ id, status: 'running', verifiedAt: null });
    expect(shown.at(-1)).toMatchObject({
      id,
      status: 'completed',
      verifiedAt: expect.any(String),
      chains: { total: 1, confirmed: 1 },
    });
    expect(shown.filter(({ verifiedAt }) => verifiedAt !== null)).toHaveLength(1);
    expect(shown.some(({ status, verifiedAt }) => status === 'completed' && verifiedAt === null)).toBe(true);
    expect(watcher.text).toMatch(/^retry: \d+\n\n/);
  });

  it('resume after the event that was seen last, without its repetition', async () => {
    const { id, mend } = await running('resumed');
    const first = await watch('resumed', id);
    const state = await eventually(
      async () => eventsOf(first.text).at(-1),
      (last) => last?.termination.lastErrorClass === 'server-error',
    );
    first.leave();
    const unseen = await watch('resumed', id, { lastEventId: 'of-long-ago' });
    await eventually(
      async () => eventsOf(unseen.text),
      (events) => events.length > 0,
    );
    unseen.leave();
    const { termination } = eventsOf(unseen.text)[0] ?? expect.unreachable();
    expect(termination.id).toBe(id);
    const second = await watch('resumed', id, { lastEventId: state?.id ?? '' });
    await mend();
    await second.closed;
    expect(eventsOf(second.text).map((event) => event.id)).not.toContain(state?.id);
    // the last state is what ends the watching: it is told also to whom has seen it
    const lastId = eventsOf(second.text).at(-1)?.id ?? '';
    const late = await watch('resumed', id, { lastEventId: lastId });
    expect(await late.closed).toBe('whole');
    expect(eventsOf(late.text).map((event) => event.id)).toEqual([lastId]);
  });

  it('end within about 5 s when the watcher’s right does, for each way in which it can', async () => {
    const { id, mend } = await running('rights');
    await signIn(stack, { organizationId: 'rights', userId: 'boss', sessionId: 'of-boss' });
    const grantId = await plantGrant(stack, 'rights');
    const soon = await stack.issuer.token({
      sub: 'brief',
      roles: ['org_admin'],
      org_id: 'rights',
      sid: 'brief',
      exp: Math.floor(Date.now() / 1_000) + 3,
    });
    const [admin, staff, expiring, other] = await Promise.all([
      watch('rights', id, { token: await tokens(stack.issuer).orgAdmin('rights', { sub: 'boss', sid: 'of-boss' }) }),
      watch('rights', id, { token: await tokens(stack.issuer).globalAdmin() }),
      watch('rights', id, { token: soon }),
      watch('rights', id),
    ]);
    expect([admin.status, staff.status, expiring.status, other.status]).toEqual([200, 200, 200, 200]);
    const token = await observer(stack, 'rights');
    await terminate(stack, 'rights', 'sessions/of-boss/terminate', { token });
    expect(
      (
        await call(stack, 'POST', `/v1/organizations/rights/support-access-grants/${grantId}/revoke`, {
          token,
          body: {},
        })
      ).status,
    ).toBe(200);
    const startedAt = performance.now();
    await Promise.all([admin.closed, staff.closed, expiring.closed]);
    expect(performance.now() - startedAt).toBeLessThan(9_000);
    const before = other.text.length;
    await mend();
    expect(await other.closed).toBe('whole');
    expect(other.text.length).toBeGreaterThan(before);
    for (const { text } of [admin, staff])
      expect(eventsOf(text).every(({ termination }) => termination.status === 'running')).toBe(true);
  });

  it('cost one connection and no polling, however many watch', async () => {
    const { id, mend } = await running('crowded');
    await eventually(
      () => stack.database.query<{ attempts: number }>('select attempts from terminations where id = $1', [id]),
      ([row]) => (row?.attempts ?? 0) > 0,
    );
    const statements = async () =>
      Number(
        (
          await stack.database.query<{ n: string }>(
            `select pg_stat_clear_snapshot(), xact_commit n from pg_stat_database where datname = current_database()`,
          )
        )[0]?.n,
      );
    const listeners = async () =>
      Number(
        (
          await stack.database.query<{ n: string }>(
            `select count(*) n from pg_stat_activity where datname = current_database() and application_name like 'listen:termination%'`,
          )
        )[0]?.n,
      );
    const before = await listeners();
    const watchers = await Promise.all(Array.from({ length: 50 }, () => watch('crowded', id)));
    await eventually(
      async () => watchers.filter(({ text }) => eventsOf(text).length > 0).length,
      (shown) => shown === 50,
    );
    expect(await listeners()).toBe(before);
    await sleep(1_200); // statistics are written once a second
    const [from, startedAt] = [await statements(), performance.now()];
    await sleep(4_000);
    const perSecond = ((await statements()) - from) / ((performance.now() - startedAt) / 1_000);
    // each is asked for its right every 2.5 s, which is 20 a second; polling ten times a second would be 500
    expect(perSecond).toBeLessThan(80);
    await mend();
    for (const ended of await Promise.all(watchers.map(({ closed }) => closed))) expect(ended).toBe('whole');
    expect(new Set(watchers.map(({ text }) => eventsOf(text).at(-1)?.id)).size).toBe(1);
  });

  it('a watcher who leaves is forgotten, and one who asks for the headers alone is answered at once', async () => {
    const { id, mend } = await running('left');
    const watcher = await watch('left', id);
    watcher.leave();
    await watcher.closed;
    const head = await fetch(`${stack.url}/v1/organizations/left/terminations/${id}/events`, {
      method: 'HEAD',
      headers: { authorization: `Bearer ${await observer(stack, 'left')}` },
    });
    expect([head.status, await head.text()]).toEqual([200, '']);
    await mend();
    await untilCompleted(stack, { organizationId: 'left', id });
  });
});
