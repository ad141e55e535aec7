import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { expect, it } from 'vitest';
import { call, eventually, tokens } from '../harness/client.ts';
import { event, report, started } from '../harness/events.ts';
import { useStack } from '../harness/stack.ts';
import { auditOf, listSessions, observer, signIn, terminate } from '../harness/terminations.ts';
import { beginRequest } from '../harness/unfinished-request.ts';
import { days, inMs, minutes, useGrants } from '../support-access/use-grants.ts';

const stack = useStack();
const grants = useGrants(stack);

/** An organization of one's own, with a victim who is signed in, a live grant, and an administrator whose session is reported. */
async function prepare() {
  const organizationId = `midway-${randomUUID()}`;
  const grant = await grants.create(organizationId);
  await signIn(stack, {
    organizationId,
    userId: 'victim',
    sessionId: 'victims',
    chainIds: [`chain-${organizationId}`],
  });
  await report(stack, [started({ organizationId, userId: 'mallory', sessionId: 'mallorys' })]);
  const mallory = await tokens(stack.issuer).orgAdmin(organizationId, { sub: 'mallory', sid: 'mallorys' });
  return { organizationId, grant, token: mallory };
}
type Prepared = Awaited<ReturnType<typeof prepare>>;

const decisions: Record<string, (of: Prepared) => { method: string; rest: string; body: unknown }> = {
  'ends a session': () => ({ method: 'POST', rest: 'sessions/victims/terminate', body: {} }),
  'ends a user’s sessions': () => ({ method: 'POST', rest: 'users/victim/sessions/terminate', body: {} }),
  'ends everybody’s sessions': () => ({ method: 'POST', rest: 'sessions/terminate', body: {} }),
  'gives access to one person': () => ({
    method: 'POST',
    rest: 'support-access-grants',
    body: { userId: 'friend', expiresAt: inMs(minutes(60)) },
  }),
  'gives access by the flag': () => ({ method: 'PUT', rest: 'support-access', body: { allowUntil: inMs(days(2)) } }),
  'lengthens a grant': ({ grant }) => ({
    method: 'PATCH',
    rest: `support-access-grants/${grant.id}`,
    body: { expiresAt: inMs(days(2)) },
  }),
  'revokes a grant': ({ grant }) => ({ method: 'POST', rest: `support-access-grants/${grant.id}/revoke`, body: {} }),
};

const endings: Record<string, (organizationId: string) => Promise<unknown>> = {
  'is signed out': (organizationId) =>
    report(stack, [event('session.ended', { organizationId, userId: 'mallory', sessionId: 'mallorys' })]),
  'has the session ended': (organizationId) => terminate(stack, organizationId, 'sessions/mallorys/terminate'),
  'has all sessions ended': (organizationId) => terminate(stack, organizationId, 'users/mallory/sessions/terminate'),
};

for (const [decision, request] of Object.entries(decisions)) {
  for (const [ending, end] of Object.entries(endings)) {
    it(`who ${ending} while the request is on its way no longer ${decision}`, async () => {
      const of = await prepare();
      const { organizationId, token } = of;
      const { method, rest, body } = request(of);
      const path = grants.path(organizationId, rest);
      const key = randomUUID();
      const unfinished = await beginRequest(stack, method, path, { token, body, headers: { 'idempotency-key': key } });
      await end(organizationId);
      const answer = await unfinished.finish();
      expect([answer.status, answer.body['code']]).toEqual([401, 'session-ended']);
      expect((await auditOf(stack, organizationId)).filter(({ actor }) => actor.id === 'mallory')).toEqual([]);
      expect((await listSessions(stack, organizationId, 'victim')).map(({ id }) => id)).toEqual(['victims']);
      expect(await stack.database.query('select 1 from idempotency_keys where key = $1', [key])).toEqual([]);
      expect((await grants.flag(organizationId)).liveGrants).toBe(1);
    });
  }
}

/** Runs `work` while nobody else can decide about the organization's grants; hears when the first waits for its turn. */
async function holdingTheTurn(organizationId: string, work: (waited: () => Promise<unknown>) => Promise<void>) {
  const turn = new pg.Client({ connectionString: stack.database.url });
  await turn.connect();
  try {
    await turn.query('begin');
    const name = JSON.stringify(['grants', organizationId]);
    await turn.query('select pg_advisory_xact_lock(hashtextextended($1, 0))', [name]);
    await work(() =>
      eventually(
        () =>
          stack.database.query(`select 1 from pg_locks where locktype = 'advisory' and not granted
            and database = (select oid from pg_database where datname = current_database())`),
        ({ length }) => length > 0,
      ),
    );
    await turn.query('commit');
  } finally {
    await turn.end();
  }
}

for (const [ending, end] of Object.entries(endings)) {
  it(`who ${ending} while clearing the flag waits for its turn no longer clears it`, async () => {
    const { organizationId, token } = await prepare();
    let clearing: ReturnType<typeof call> | undefined;
    await holdingTheTurn(organizationId, async (waited) => {
      clearing = call(stack, 'DELETE', grants.path(organizationId, 'support-access'), { token });
      await waited();
      await end(organizationId);
    });
    expect([(await clearing)?.status, (await grants.flag(organizationId)).liveGrants]).toEqual([401, 1]);
  });

  it(`a grant whose giver ${ending} before it came alive never comes alive`, async () => {
    const { organizationId, token } = await prepare();
    let giving: ReturnType<typeof call> | undefined;
    await holdingTheTurn(organizationId, async (waited) => {
      const body = { userId: 'friend', expiresAt: inMs(minutes(60)) };
      giving = call(stack, 'POST', grants.path(organizationId, 'support-access-grants'), { token, body });
      await waited();
      await end(organizationId);
    });
    expect([(await giving)?.status, (await grants.flag(organizationId)).liveGrants]).toEqual([401, 1]);
  });
}

it('a Global Admin whose own session at home is ended while the request is on its way no longer ends anybody', async () => {
  const { organizationId } = await prepare();
  const home = `home-${randomUUID()}`;
  await report(stack, [started({ organizationId: home, userId: 'staff', sessionId: 'at-home' })]);
  const token = await tokens(stack.issuer).globalAdmin({ sid: 'at-home', home });
  const path = grants.path(organizationId, 'users/victim/sessions/terminate');
  const unfinished = await beginRequest(stack, 'POST', path, { token, body: {} });
  await terminate(stack, home, 'users/staff/sessions/terminate', { token: await observer(stack, home) });
  expect((await unfinished.finish()).status).toBe(401);
  expect(await listSessions(stack, organizationId, 'victim')).toHaveLength(1);
});

it('of two administrators who end each other in the same moment one has been ended by the other, and decides nothing', async () => {
  const organizationId = `duel-${randomUUID()}`;
  const names = ['first', 'second'];
  await report(
    stack,
    names.map((userId) => started({ organizationId, userId, sessionId: `of-${userId}` })),
  );
  const answers = await Promise.all(
    names.map(async (sub, n) =>
      terminate(stack, organizationId, `sessions/of-${names[1 - n]}/terminate`, {
        token: await tokens(stack.issuer).orgAdmin(organizationId, { sub, sid: `of-${sub}` }),
      }),
    ),
  );
  expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([202, 401]);
});
