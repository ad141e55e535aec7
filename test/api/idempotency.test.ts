import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { type Answer, call, tokens } from '../harness/client.ts';
import { report, started } from '../harness/events.ts';
import { useStack } from '../harness/stack.ts';
import { observer } from '../harness/terminations.ts';
import { expectAnswersDeclared } from './declared-answers.ts';
import { plantGrant } from './planted-organization.ts';
import { routeTable } from './route-table.ts';

const stack = useStack({ worker: false });
expectAnswersDeclared(stack);

interface Sent {
  key?: string;
  body?: unknown;
  token?: string;
  headers?: Record<string, string>;
}
const everybody = 'users/grace/sessions/terminate';

/** Asks as the organization's admin, for a decision that is answered at once. */
async function post(
  organizationId: string,
  path: string,
  { key, body = {}, token, headers = {} }: Sent = {},
): Promise<Answer> {
  return call(stack, 'POST', `/v1/organizations/${organizationId}/${path}`, {
    token: token ?? (await tokens(stack.issuer).orgAdmin(organizationId)),
    body,
    headers: { prefer: 'respond-async', ...(key === undefined ? {} : { 'idempotency-key': key }), ...headers },
  });
}
/** What tells two answers apart, but for the headers that are each answer's own. */
const shown = ({ status, text, headers }: Answer) => ({
  status,
  text,
  location: headers.get('location'),
  retryAfter: headers.get('retry-after'),
  etag: headers.get('etag'),
  type: headers.get('content-type'),
});
const isReplayed = ({ headers }: Answer) => headers.get('idempotent-replayed') === 'true';
const codeOf = ({ status, body }: Answer) => `${status} ${String(body['code'])}`;

const decisions = async (organizationId: string) =>
  (
    await stack.database.query<{ action: string }>(
      'select action from audit_events where organization_id = $1 order by id',
      [organizationId],
    )
  ).map(({ action }) => action);
const keysOf = (organizationId: string) =>
  stack.database.query<{ response_status: number | null }>(
    'select response_status from idempotency_keys where path like $1',
    [`%"org":"${organizationId}"%`],
  );
const forgetAnswers = (organizationId: string) =>
  stack.database.query(
    'update idempotency_keys set response_status = null, response_headers = null, response_body = null where path like $1',
    [`%"org":"${organizationId}"%`],
  );

describe('the same key and body', () => {
  it('is decided once and answered again with the first answer, byte for byte', async () => {
    await report(stack, [started({ organizationId: 'same', userId: 'grace', sessionId: 's1' })]);
    for (const path of ['sessions/s1/terminate', everybody, 'sessions/terminate']) {
      const key = randomUUID();
      const first = await post('same', path, { key, body: { reason: 'lost' } });
      expect([first.status, isReplayed(first)]).toEqual([202, false]);
      const token = await observer(stack, 'same');
      const admin = await stack.issuer.token({
        sub: 'admin',
        roles: ['org_admin'],
        org_id: 'same',
        sid: 'another',
        auth_time: Math.floor(Date.now() / 1_000) + 3_600,
      });
      // the resource has changed meanwhile; the answer has not
      await stack.database.query('update terminations set attempts = attempts + 1 where id = $1', [first.body['id']]);
      expect(
        (await call(stack, 'GET', `/v1/organizations/same/terminations/${String(first.body['id'])}`, { token })).body[
          'attempts'
        ],
      ).toBe(1);
      for (let n = 0; n < 3; n += 1) {
        const again = await post('same', path, { key, body: { reason: 'lost' }, token: admin });
        expect(isReplayed(again)).toBe(true);
        expect(shown(again)).toEqual(shown(first));
        expect(again.headers.get('x-request-id')).not.toBe(first.headers.get('x-request-id'));
      }
    }
    expect(await decisions('same')).toEqual([
      'termination.requested',
      'termination.requested',
      'termination.requested',
    ]);
  });

  it('sent twenty times at once is one decision; the others are its replays or told to wait', async () => {
    for (const path of [everybody, 'sessions/terminate']) {
      const organizationId = `at-once-${path.length}`;
      const key = randomUUID();
      const token = await tokens(stack.issuer).orgAdmin(organizationId);
      // connections are made before the race: a busy machine takes its time for them
      await Promise.all(
        Array.from({ length: 20 }, () =>
          call(stack, 'GET', `/v1/organizations/${organizationId}/terminations`, { token }),
        ),
      );
      const answers = await Promise.all(Array.from({ length: 20 }, () => post(organizationId, path, { key, token })));
      expect(await decisions(organizationId)).toEqual(['termination.requested']);
      const accepted = answers.filter(({ status }) => status === 202);
      expect(new Set(accepted.map(({ body }) => body['id'])).size).toBe(1);
      expect(accepted.filter((answer) => !isReplayed(answer))).toHaveLength(1);
      for (const answer of answers.filter(({ status }) => status !== 202)) {
        expect(codeOf(answer)).toBe('409 idempotency-key-in-use');
        expect(answer.headers.get('retry-after')).toBe('1');
      }
      expect(isReplayed(await post(organizationId, path, { key, token }))).toBe(true);
    }
  });

  it('without a key is a decision each time', async () => {
    for (let n = 0; n < 3; n += 1) expect(isReplayed(await post('keyless', everybody))).toBe(false);
    expect(await decisions('keyless')).toEqual(['termination.requested', 'termination.joined', 'termination.joined']);
  });

  it('replays a refusal of what was asked, too', async () => {
    const [absent, invalid] = [randomUUID(), randomUUID()];
    const first = await post('refused', 'sessions/later/terminate', { key: absent });
    expect(codeOf(first)).toBe('404 not-found');
    await report(stack, [started({ organizationId: 'refused', userId: 'grace', sessionId: 'later' })]);
    const again = await post('refused', 'sessions/later/terminate', { key: absent });
    expect([codeOf(again), isReplayed(again), again.text]).toEqual(['404 not-found', true, first.text]);
    for (const replayed of [false, true]) {
      const answer = await post('refused', everybody, { key: invalid, body: { unknown: 1 } });
      expect([codeOf(answer), isReplayed(answer)]).toEqual(['422 validation-failed', replayed]);
    }
    expect(await decisions('refused')).toEqual([]);
  });
});

describe('a key', () => {
  it('with another body is refused, and nothing is decided', async () => {
    const key = randomUUID();
    await post('other-body', everybody, { key, body: { reason: 'one' } });
    for (const body of [{ reason: 'two' }, {}, { reason: 'one', includeOwn: true }, '{"reason": "one"}', '{']) {
      const answer = await post('other-body', everybody, { key, body });
      expect([codeOf(answer), isReplayed(answer)]).toEqual(['422 idempotency-key-reused', false]);
    }
    expect(await decisions('other-body')).toEqual(['termination.requested']);
  });

  it('is its caller’s own, on one path', async () => {
    const key = randomUUID();
    const callers = [
      await tokens(stack.issuer).orgAdmin('scoped'),
      await tokens(stack.issuer).orgAdmin('scoped', { sub: 'colleague' }),
    ];
    const answers = [];
    for (const token of callers)
      for (const path of [everybody, 'users/ada/sessions/terminate'])
        answers.push(await post('scoped', path, { key, token, body: { exceptSessionIds: [`${answers.length}`] } }));
    answers.push(await post('scoped-too', everybody, { key }));
    expect(answers.filter(isReplayed)).toEqual([]);
    expect(new Set(answers.map(({ body }) => body['id'])).size).toBe(5);
    // a path is the same however it is spelled
    const respelled = await post('scoped', 'users/gr%61ce/sessions/terminate', {
      key,
      body: { exceptSessionIds: ['0'] },
      ...(callers[0] === undefined ? {} : { token: callers[0] }),
    });
    expect([isReplayed(respelled), respelled.body['id']]).toEqual([true, answers[0]?.body['id']]);
  });

  it('is the same through another session of its caller', async () => {
    const key = randomUUID();
    const first = await post('two-devices', everybody, { key });
    const second = await post('two-devices', everybody, {
      key,
      token: await tokens(stack.issuer).orgAdmin('two-devices', { sid: 'phone' }),
    });
    expect([isReplayed(second), second.text]).toEqual([true, first.text]);
  });

  it('of the wrong form is refused', async () => {
    for (const key of ['', 'a b', 'x'.repeat(256), 'caf\u00e9'])
      expect(codeOf(await post('malformed', everybody, { key })), key).toBe('400 malformed-request');
    expect(await decisions('malformed')).toEqual([]);
    expect((await post('malformed', everybody, { key: `!~${'x'.repeat(253)}` })).status).toBe(202);
  });

  it('works on a path that is as long as one may be', async () => {
    const [key, path] = [randomUUID(), `users/${encodeURIComponent('雪'.repeat(255))}/sessions/terminate`];
    const [first, second] = [await post('long', path, { key }), await post('long', path, { key })];
    expect([first.status, isReplayed(second), second.text]).toEqual([202, true, first.text]);
  });
});

describe('authorisation comes first, also for a replay', () => {
  it('an answer is not shown to whom it would be refused by now', async () => {
    await plantGrant(stack, 'visited');
    const [key, token] = [randomUUID(), await tokens(stack.issuer).globalAdmin()];
    expect((await post('visited', everybody, { key, token })).status).toBe(202);
    expect(isReplayed(await post('visited', everybody, { key, token }))).toBe(true);
    await stack.database.query(
      `update support_access_grants set access_ended_at = current_instant(), end_reason = 'revoked' where organization_id = 'visited'`,
    );
    expect(codeOf(await post('visited', everybody, { key, token }))).toBe('403 support-access-required');
    const machine = await tokens(stack.issuer).machine('support-access:manage');
    expect(codeOf(await post('visited', everybody, { key, token: machine }))).toBe('403 role-required');
  });

  it('one who ended their own session is refused the replay of it', async () => {
    await report(stack, [started({ organizationId: 'own', userId: 'boss', sessionId: 'mine' })]);
    const [key, token] = [randomUUID(), await tokens(stack.issuer).orgAdmin('own', { sub: 'boss', sid: 'mine' })];
    expect((await post('own', 'sessions/mine/terminate', { key, token })).status).toBe(202);
    expect(codeOf(await post('own', 'sessions/mine/terminate', { key, token }))).toBe('401 session-ended');
  });

  it('a refusal to let somebody in takes no key', async () => {
    const key = randomUUID();
    const foreign = await tokens(stack.issuer).orgAdmin('elsewhere');
    expect(codeOf(await post('unlet', everybody, { key, token: foreign }))).toBe('403 organization-forbidden');
    expect(codeOf(await post('unlet', everybody, { key, token: 'nonsense' }))).toBe('401 unauthenticated');
    expect(await keysOf('unlet')).toEqual([]);
  });
});

describe('time', () => {
  const reserve = (organizationId: string, key: string) =>
    stack.database.query(
      `update idempotency_keys set resource_kind = null, resource_id = null, response_status = null, response_headers = null, response_body = null,
         reserved_until = current_instant() + interval '60 seconds' where key = $1 and path like $2`,
      [key, `%"org":"${organizationId}"%`],
    );

  it('a key whose request never ended is free again after 60 s, and no sooner', async () => {
    const key = randomUUID();
    await post('abandoned', everybody, { key });
    // as a process leaves it that dies before it decides
    await reserve('abandoned', key);
    for (const movedBy of [0, 58_000]) {
      await stack.database.moveClock(movedBy);
      expect(codeOf(await post('abandoned', everybody, { key }))).toBe('409 idempotency-key-in-use');
    }
    await stack.database.moveClock(2_100);
    // free for one of those who ask for it at once
    const token = await stack.issuer.token({
      sub: 'admin',
      roles: ['org_admin'],
      org_id: 'abandoned',
      sid: 'x',
      auth_time: Math.floor(Date.now() / 1_000) + 3_600,
    });
    const answers = await Promise.all(Array.from({ length: 10 }, () => post('abandoned', everybody, { key, token })));
    expect(answers.filter((answer) => answer.status === 202 && !isReplayed(answer))).toHaveLength(1);
    expect(await decisions('abandoned')).toEqual(['termination.requested', 'termination.joined']);
    await stack.database.moveClock(-60_100);
  });

  it('a key whose request never ended is free, too, where the clock was set back since', async () => {
    const key = randomUUID();
    const token = await observer(stack, 'set-back');
    await post('set-back', everybody, { key, token });
    await reserve('set-back', key);
    expect(codeOf(await post('set-back', everybody, { key, token }))).toBe('409 idempotency-key-in-use');
    await stack.database.moveClock(-600_000);
    const answer = await post('set-back', everybody, { key, token });
    await stack.database.moveClock(600_000);
    expect([answer.status, isReplayed(answer)]).toEqual([202, false]);
  });

  it('an answer is kept for 24 h; then the key is as new', async () => {
    const key = randomUUID();
    const token = await observer(stack, 'kept');
    const first = await post('kept', everybody, { key, token });
    await stack.database.moveClock(24 * 3_600_000 - 10_000);
    expect((await post('kept', everybody, { key, token })).text).toBe(first.text);
    await stack.database.moveClock(10_100);
    // another body as well: nothing of the old request is left
    const fresh = await post('kept', everybody, { key, token, body: { reason: 'a day later' } });
    expect([fresh.status, isReplayed(fresh)]).toEqual([202, false]);
    expect(isReplayed(await post('kept', everybody, { key, token, body: { reason: 'a day later' } }))).toBe(true);
    await stack.database.moveClock(-24 * 3_600_000 - 100);
  });
});

describe('a process that dies between decision and answer', () => {
  it('has decided: the repeat shows the termination as it then is, and decides nothing', async () => {
    const key = randomUUID();
    const first = await post('crashed', everybody, { key });
    await forgetAnswers('crashed');
    const running = await post('crashed', everybody, { key });
    expect([running.status, isReplayed(running), running.text]).toEqual([202, true, first.text]);
    await stack.database.query(
      `update terminations set status = 'completed', completed_at = current_instant(), last_outcome_at = current_instant() where id = $1`,
      [first.body['id']],
    );
    const completed = await post('crashed', everybody, { key });
    expect([completed.status, isReplayed(completed)]).toEqual([200, true]);
    expect(completed.body).toMatchObject({ id: first.body['id'], status: 'completed' });
    expect(await decisions('crashed')).toEqual(['termination.requested']);
    expect(codeOf(await post('crashed', everybody, { key, body: { reason: 'another' } }))).toBe(
      '422 idempotency-key-reused',
    );
  });

  it('revoking too: the repeat shows the grant as it then is', async () => {
    const [key, grantId] = [randomUUID(), await plantGrant(stack, 'crashed-revoke')];
    const path = `support-access-grants/${grantId}/revoke`;
    const first = await post('crashed-revoke', path, { key });
    expect([first.status, first.headers.get('etag')]).toEqual([200, '"2"']);
    await forgetAnswers('crashed-revoke');
    const again = await post('crashed-revoke', path, { key });
    expect([again.status, isReplayed(again), again.headers.get('etag'), again.body['id']]).toEqual([
      200,
      true,
      '"2"',
      grantId,
    ]);
    expect(await decisions('crashed-revoke')).toEqual(['support-access.revoked']);
  });
});

describe('what may be otherwise by the next try is not kept', () => {
  it('a 503 leaves the key free, and what was not granted is not shown by it', async () => {
    const key = randomUUID();
    const body = { userId: 'ada', expiresAt: new Date(Date.now() + 3_600_000).toISOString() };
    // no worker answers, so nothing is granted
    const answers = [
      await post('unavailable', 'support-access-grants', { key, body }),
      await post('unavailable', 'support-access-grants', { key, body }),
    ];
    expect(answers.map((answer) => [codeOf(answer), isReplayed(answer)])).toEqual(
      Array.from({ length: 2 }, () => ['503 workflow-engine-unavailable', false]),
    );
    expect((await keysOf('unavailable')).map(({ response_status }) => response_status)).toEqual([null]);
    expect(await decisions('unavailable')).toEqual([]);
  });

  it('a decision that cannot be kept together with its key is not made', async () => {
    const key = randomUUID();
    await stack.database
      .query(`create function refuse_key() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$;
      create trigger refuse_key before update of resource_id on idempotency_keys for each row when (new.resource_id is not null) execute function refuse_key()`);
    const answer = await post('indivisible', everybody, { key });
    await stack.database.query('drop trigger refuse_key on idempotency_keys');
    expect(codeOf(answer)).toBe('500 internal-error');
    expect(answer.text).not.toContain('refuse_key');
    expect(await decisions('indivisible')).toEqual([]);
    expect(
      (await stack.database.query(`select 1 from terminations where organization_id = 'indivisible'`)).length,
    ).toBe(0);
    // and the key is free
    expect((await post('indivisible', everybody, { key })).status).toBe(202);
  });
});

describe('where the header counts', () => {
  it('every POST under an organization documents it, and nothing else does', async () => {
    const document = await call<{
      paths: Record<string, Record<string, { parameters?: { name: string; in: string }[] }>>;
    }>(stack, 'GET', '/openapi.json');
    for (const { method, path } of routeTable()) {
      const parameters = document.body.paths[path]?.[method.toLowerCase()]?.parameters ?? [];
      const accepts = parameters.some((parameter) => parameter.in === 'header' && parameter.name === 'Idempotency-Key');
      expect(accepts, `${method} ${path}`).toBe(method === 'POST' && path.startsWith('/v1/organizations/'));
    }
  });

  it('the check and session events ignore it', async () => {
    const headers = { 'idempotency-key': 'fixed' };
    const ask = async () =>
      call(stack, 'POST', '/v1/support-access/check', {
        token: await tokens(stack.issuer).machine('support-access:check'),
        body: { organizationId: 'ignoring', userId: 'staff', role: 'global_admin' },
        headers,
      });
    expect((await ask()).body['decision']).toBe('deny');
    await plantGrant(stack, 'ignoring');
    expect((await ask()).body['decision']).toBe('allow');
    const event = started({ organizationId: 'ignoring', userId: 'grace', sessionId: 's1' });
    const outcomes = [];
    for (const events of [[event], [event], [{ ...event, eventId: randomUUID(), sessionId: 's2' }]]) {
      const answer = await call<{ results: { outcome: string }[] }>(stack, 'POST', '/v1/session-events', {
        token: await tokens(stack.issuer).machine('sessions:ingest'),
        body: { events },
        headers,
      });
      expect(isReplayed(answer as never)).toBe(false);
      outcomes.push(answer.body.results[0]?.outcome);
    }
    expect(outcomes).toEqual(['accepted', 'duplicate', 'accepted']);
  });
});
