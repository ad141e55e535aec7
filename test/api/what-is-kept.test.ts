import { createHash, randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { TerminationView } from '../../src/rules/termination.ts';
import { call } from '../harness/client.ts';
import { useStack } from '../harness/stack.ts';
import { expectAnswersDeclared } from './declared-answers.ts';

const stack = useStack({ worker: false });
expectAnswersDeclared(stack);

const everybody = 'users/grace/sessions/terminate';
/** Whom no fence of a test touches: signed in an hour from now. */
const admin = (organizationId: string, sub = 'admin') =>
  stack.issuer.token({
    sub,
    roles: ['org_admin'],
    org_id: organizationId,
    sid: `sid-of-${sub}`,
    auth_time: Math.floor(Date.now() / 1_000) + 3_600,
  });
const post = async (
  organizationId: string,
  path: string,
  body: unknown,
  { key, sub = 'admin' }: { key?: string; sub?: string } = {},
) =>
  call<TerminationView & { code?: string; errors?: { pointer: string; message: string }[] }>(
    stack,
    'POST',
    `/v1/organizations/${organizationId}/${path}`,
    {
      token: await admin(organizationId, sub),
      body,
      headers: { prefer: 'respond-async', ...(key === undefined ? {} : { 'idempotency-key': key }) },
    },
  );

describe('the sessions to keep', () => {
  /** Ids of so many bytes in all, a hundred at most. */
  const idsOf = (bytes: number, letter = 'x') => {
    const ids: string[] = [];
    for (let left = bytes; left > 0; left -= 250) ids.push(`${ids.length}`.padEnd(Math.min(left, 250), letter));
    return ids;
  };

  it('are 8 KiB in all at most, counted in bytes', async () => {
    expect((await post('kept', everybody, { exceptSessionIds: idsOf(8_192) })).status).toBe(202);
    for (const exceptSessionIds of [idsOf(8_193), Array.from({ length: 40 }, (_, n) => `${n}${'雪'.repeat(80)}`)]) {
      const { status, body } = await post('kept', everybody, { exceptSessionIds });
      expect([status, body.errors]).toEqual([
        422,
        [{ pointer: '/exceptSessionIds', message: 'must be at most 8192 bytes in all' }],
      ]);
    }
  });

  it('are the termination’s to show; the audit has their number and the hash of what it shows', async () => {
    const exceptSessionIds = ['b', 'a', 'c"雪'];
    for (const path of [everybody, 'sessions/terminate', everybody]) {
      const { body } = await post('counted', path, { exceptSessionIds, includeOwn: true });
      expect(body.keptSessionIds).toEqual(['a', 'b', 'c"雪']);
    }
    const facts = await stack.database.query<{ action: string; details: Record<string, unknown> }>(
      `select action, details from audit_events where organization_id = 'counted' order by id`,
    );
    expect(facts.map(({ action }) => action)).toEqual([
      'termination.requested',
      'termination.requested',
      'termination.joined',
    ]);
    for (const { details } of facts)
      expect(details).toEqual({
        terminationId: expect.any(String),
        keptSessions: 3,
        keptSessionsSha256: createHash('sha256').update('["a","b","c\\"雪"]').digest('hex'),
      });
  });
});

describe('a validation answer', () => {
  it('tells at most 20 errors, however many there are', async () => {
    const unknown = Object.fromEntries(Array.from({ length: 3_000 }, (_, n) => [`unknown${n}`, 1]));
    const { status, body, text } = await post('told', everybody, unknown);
    expect([status, body.code, body.errors?.length]).toEqual([422, 'validation-failed', 20]);
    expect(text.length).toBeLessThan(3_000);
    const query = Array.from({ length: 500 }, (_, n) => `unknown${n}=1`).join('&');
    const listed = await call<{ errors: unknown[] }>(stack, 'GET', `/v1/organizations/told/terminations?${query}`, {
      token: await admin('told'),
    });
    expect([listed.status, listed.body.errors.length]).toEqual([422, 20]);
  });
});

describe('an answer over 16 KiB', () => {
  const kept = async (organizationId: string) =>
    stack.database.query<{ bytes: number | null; resource_id: string | null }>(
      'select length(response_body) as bytes, resource_id from idempotency_keys where path like $1',
      [`%"org":"${organizationId}"%`],
    );

  it('is not kept for its key: the repeat shows the resource as it then is, and decides nothing', async () => {
    const key = randomUUID();
    // each quote is two characters in the answer
    const body = { exceptSessionIds: Array.from({ length: 32 }, (_, n) => `${n}`.padEnd(254, '"')), reason: 'large' };
    const first = await post('large', everybody, body, { key });
    expect(first.status).toBe(202);
    expect(first.text.length).toBeGreaterThan(16 * 1_024);
    expect(await kept('large')).toEqual([{ bytes: null, resource_id: first.body.id }]);
    await stack.database.query('update terminations set attempts = 7 where id = $1', [first.body.id]);
    const again = await post('large', everybody, body, { key });
    expect([again.status, again.headers.get('idempotent-replayed'), again.body.id, again.body.attempts]).toEqual([
      202,
      'true',
      first.body.id,
      7,
    ]);
    expect((await post('large', everybody, { ...body, reason: 'another' }, { key })).status).toBe(422);
    const facts = await stack.database.query(`select 1 from audit_events where organization_id = 'large'`);
    expect(facts).toHaveLength(1);
  });

  it('that refuses is not kept either; one of 16 KiB is', async () => {
    const key = randomUUID();
    const unknown = Object.fromEntries(Array.from({ length: 20 }, (_, n) => [`${n}`.padEnd(2_000, 'x'), 1]));
    for (let n = 0; n < 2; n += 1) {
      const answer = await post('refused', everybody, unknown, { key });
      expect([answer.status, answer.headers.get('idempotent-replayed')]).toEqual([422, null]);
    }
    expect(await kept('refused')).toEqual([]);
    const short = { exceptSessionIds: Array.from({ length: 30 }, (_, n) => `${n}`.padEnd(254, '"')) };
    const answer = await post('short', everybody, short, { key });
    expect(answer.text.length).toBeGreaterThan(15_000);
    expect(await kept('short')).toEqual([{ bytes: answer.text.length, resource_id: answer.body.id }]);
  });
});

describe('ending everybody’s sessions', () => {
  it('is permitted thirty times a minute to a caller in an organization, repeats with a key not counted', async () => {
    const all = 'sessions/terminate';
    const keyed = { key: randomUUID() };
    expect((await post('wide', all, {}, keyed)).status).toBe(202);
    for (let n = 1; n < 30; n += 1) expect((await post('wide', all, {})).status).toBe(202);
    const refused = await post('wide', all, {});
    expect([refused.status, refused.body.code]).toEqual([429, 'rate-limited']);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    expect(Number(refused.headers.get('retry-after'))).toBeLessThanOrEqual(2);
    expect((await post('wide', all, {}, keyed)).headers.get('idempotent-replayed')).toBe('true');
    // a refusal is not the answer to keep
    const fresh = { key: randomUUID() };
    await post('wide', all, {}, fresh);
    expect(await stack.database.query('select 1 from idempotency_keys where key = $1', [fresh.key])).toEqual([]);
    // nobody else pays for it, and one user's sessions can still be ended
    expect((await post('wide', all, {}, { sub: 'colleague' })).status).toBe(202);
    expect((await post('wide-too', all, {})).status).toBe(202);
    expect((await post('wide', everybody, {})).status).toBe(202);
  });
});
