import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { call } from '../harness/client.ts';
import { losing } from '../harness/event-gate.ts';
import { Refused, useReferenceStack } from '../harness/reference-stack.ts';
import { type Device, inLanes, usePeople } from './people.ts';

const SIGN_INS = Number(process.env['RACE_CLOCK_SIGN_INS'] ?? 150);
const OFFSET_MS = 30_000;
/** The fastest call's time on its way: what cannot be told from the offset, and so the limit of what can be known. */
const ON_ITS_WAY_MS = 5;

describe('the clock of the Auth Module is 30 s ahead', () => {
  const stack = useReferenceStack({ clockOffsetMs: OFFSET_MS });
  const people = usePeople(stack);

  it('sign-ins around an end-all: those from before it die, those from after it live', async ({ annotate }) => {
    const admin = await people.admin('ahead');
    let [sentAt, cutoff, answeredAt] = [NaN, NaN, NaN];
    let acting: Promise<unknown> | undefined;
    const devices = await inLanes(Array.from({ length: SIGN_INS }), 8, async (_, n) => {
      if (n === Math.floor(SIGN_INS / 3)) {
        sentAt = Date.now();
        acting = people.terminate(admin, 'ahead', 'users/ada/sessions').then((termination) => {
          cutoff = Date.parse(termination.cutoff);
          answeredAt = Date.now();
          return people.completed(admin, termination);
        });
      }
      const [device] = await people.signIn({ organizationId: 'ahead', userId: 'ada' }).catch((error: unknown) => {
        if (error instanceof Refused && error.status === 403) return [];
        throw error;
      });
      return device ?? null;
    });
    await acting;
    const opened = devices.filter((device) => device !== null);
    const { rows } = await stack.authDatabase.query<{ id: string; at: Date }>(
      'select session_id as id, started_at as at from auth_sessions where session_id = any($1)',
      [opened.map(({ sessionId }) => sessionId)],
    );
    const began = new Map(rows.map(({ id, at }) => [id, at.getTime() - OFFSET_MS]));
    const [before, after]: [Device[], Device[]] = [[], []];
    for (const device of opened) ((began.get(device.sessionId) ?? NaN) <= cutoff ? before : after).push(device);
    const [survivors, unharmed] = [await people.survivors(before), await people.survivors(after)];
    await annotate(
      `cutoff ${cutoff - sentAt} ms after the request was sent, ${answeredAt - cutoff} ms before its answer; ${before.length} began at or before it: ${survivors.length} survive (began ${survivors.map(({ sessionId }) => cutoff - (began.get(sessionId) ?? 0)).join(', ')} ms before); ${after.length} after: ${unharmed.length} live; ${SIGN_INS - opened.length} refused`,
    );
    expect(survivors.filter(({ sessionId }) => (began.get(sessionId) ?? 0) < cutoff - ON_ITS_WAY_MS)).toEqual([]);
    expect(unharmed).toHaveLength(after.length);
    expect(await people.refresh(admin.device)).toBe(true);
  }, 240_000);

  it('chains that no event told of are found although their stamps lie after the cutoff', async () => {
    const admin = await people.admin('ahead-lost');
    stack.gate.handle = losing((event) => event.type === 'session.started');
    const devices = await people.signIn({ organizationId: 'ahead-lost', userId: 'ada', count: 50 });
    stack.gate.open();
    await stack.database.query(`delete from sessions where organization_id = 'ahead-lost' and user_id = 'ada'`);
    await people.completed(admin, await people.terminate(admin, 'ahead-lost', 'users/ada/sessions'));
    expect(await people.survivors(devices)).toEqual([]);
    const after = await people.signIn({ organizationId: 'ahead-lost', userId: 'ada', count: 50 });
    expect(await people.survivors(after)).toHaveLength(50);
  });

  it('a token whose session has no row here is judged by its `auth_time`, by that clock', async () => {
    const admin = await people.admin('ahead-token');
    // no offline access: no chain by which the session could be found
    const enter = async () => {
      const request = { org_id: 'ahead-token', sub: 'ada', roles: ['org_admin'], scope: 'openid' };
      const { access_token: token, session_id: id } = await stack.ask<{ access_token: string; session_id: string }>(
        '/demo/tokens',
        request,
      );
      await stack.database.query('delete from sessions where id = $1', [id]);
      return { token };
    };
    const list = async ({ token }: { token: string }) =>
      (await call(stack, 'GET', '/v1/organizations/ahead-token/users/ada/sessions', { token })).status;
    const before = await enter();
    expect(await list(before)).toBe(200);
    await people.completed(admin, await people.terminate(admin, 'ahead-token', 'users/ada/sessions'));
    expect(await list(before)).toBe(401);
    // `auth_time` is in whole seconds: the next one has begun
    await sleep(1_100);
    expect(await list(await enter())).toBe(200);
  });
});

describe('the clock of the Auth Module is 30 s behind', () => {
  const stack = useReferenceStack({ clockOffsetMs: -OFFSET_MS });
  const people = usePeople(stack);
  const signIn = (organizationId: string) =>
    people.signIn({ organizationId, userId: 'ada' }).catch((error: unknown) => {
      if (error instanceof Refused && error.status === 403) return [];
      throw error;
    });

  it('nobody from before survives; who comes while its stamps are not past the cutoff is refused at the door, never ended later', async () => {
    const admin = await people.admin('behind');
    const before = await people.signIn({ organizationId: 'behind', userId: 'ada', count: 50 });
    const termination = await people.terminate(admin, 'behind', 'users/ada/sessions');
    const during = (await inLanes(Array.from({ length: 20 }), 4, () => signIn('behind'))).flat();
    await people.completed(admin, termination);
    expect(await people.survivors([...before, ...during])).toEqual([]);
    // none of them was let in first: the door is where it is told
    expect(during).toEqual([]);
    // others are not concerned, and the caller neither
    const others = await people.signIn({ organizationId: 'behind', userId: 'linus', count: 10 });
    expect(await people.survivors([...others, admin.device])).toHaveLength(11);
  }, 240_000);

  it('once the clock is set right, everybody comes in again, and stays', async () => {
    const admin = await people.admin('mended');
    const before = await people.signIn({ organizationId: 'mended', userId: 'ada', count: 20 });
    await people.completed(admin, await people.terminate(admin, 'mended', 'users/ada/sessions'));
    await stack.restartAuthModule({ clockOffsetMs: 0 });
    const after = await people.signIn({ organizationId: 'mended', userId: 'ada', count: 20 });
    expect(await people.survivors(before)).toEqual([]);
    expect(await people.survivors(after)).toHaveLength(20);
  });
});
