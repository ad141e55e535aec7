import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { call, tokens } from '../harness/client.ts';
import { event, report, started } from '../harness/events.ts';
import { useStack } from '../harness/stack.ts';
import { beginRequest } from '../harness/unfinished-request.ts';
import { inMs, minutes } from '../support-access/use-grants.ts';

const stack = useStack();
const RUNS = Number(process.env['RACING_CALLERS_RUNS'] ?? 25);
const ADMINS = 4;

/** What one administrator does, and to whom. Endings of others are decisions too. */
interface Step {
  by: number;
  act: 'end-session' | 'end-user' | 'end-all' | 'sign-out' | 'give' | 'revoke' | 'clear';
  to: number;
  /** The last byte of the body comes only after every other step has been sent. */
  held: boolean;
}
const step = fc.record<Step>({
  by: fc.nat(ADMINS - 1),
  act: fc.constantFrom('end-session', 'end-user', 'end-all', 'sign-out', 'give', 'revoke', 'clear'),
  to: fc.nat(ADMINS - 1),
  held: fc.boolean(),
});

const sessionOf = (n: number) => `session-of-${n}`;

it('whatever is interleaved, no decision commits whose caller’s ending committed before it', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 2, maxLength: 10 }), async (steps) => {
      const organizationId = `callers-${randomUUID()}`;
      await report(
        stack,
        Array.from({ length: ADMINS }, (_, n) =>
          started({ organizationId, userId: `admin-${n}`, sessionId: sessionOf(n) }),
        ),
      );
      const held = [];
      const sent = [];
      for (const one of steps) {
        if (one.held && bodyOf(one) !== undefined) held.push(await begin(organizationId, one));
        else sent.push(one);
      }
      const answers = sent.map((one) => send(organizationId, one));
      const late = held.map((request) => request.finish());
      for (const { status } of await Promise.all([...answers, ...late]))
        expect([200, 201, 202, 401, 404, 409, 503]).toContain(status);
      expect(await decidedAfterTheirEnd(organizationId)).toEqual([]);
    }),
    { numRuns: RUNS },
  );
}, 240_000);

const pathOf = (organizationId: string, { act, to }: Step): [method: string, path: string] => {
  const below = `/v1/organizations/${organizationId}`;
  if (act === 'end-session') return ['POST', `${below}/sessions/${sessionOf(to)}/terminate`];
  if (act === 'end-user') return ['POST', `${below}/users/admin-${to}/sessions/terminate`];
  if (act === 'end-all') return ['POST', `${below}/sessions/terminate`];
  if (act === 'give') return ['POST', `${below}/support-access-grants`];
  return ['DELETE', `${below}/support-access`];
};

function bodyOf({ act, to }: Step): object | undefined {
  if (act === 'end-session' || act === 'end-user' || act === 'end-all') return {};
  return act === 'give' ? { userId: `friend-${to}`, expiresAt: inMs(minutes(60)) } : undefined;
}

const tokenOf = (organizationId: string, n: number) =>
  tokens(stack.issuer).orgAdmin(organizationId, { sub: `admin-${n}`, sid: sessionOf(n) });

async function begin(organizationId: string, one: Step) {
  const [method, path] = pathOf(organizationId, one);
  return beginRequest(stack, method, path, { token: await tokenOf(organizationId, one.by), body: bodyOf(one) });
}

async function send(organizationId: string, one: Step): Promise<{ status: number }> {
  if (one.act === 'sign-out') {
    await report(stack, [
      event('session.ended', {
        organizationId,
        userId: `admin-${one.to}`,
        sessionId: sessionOf(one.to),
        eventId: `out ${sessionOf(one.to)} ${randomUUID()}`,
      }),
    ]);
    return { status: 200 };
  }
  const [method, path] = pathOf(organizationId, one);
  const headers = { prefer: 'respond-async' };
  return call(stack, method, path, { token: await tokenOf(organizationId, one.by), body: bodyOf(one), headers });
}

/**
 * Decisions, by their audit events, that committed after an ending of their caller had: an ending is another's decision,
 * by its audit event, or a sign-out, by the event that was noted as seen. None of these rows is ever written again, so
 * that each tells the commit of the transaction that made it.
 */
const decidedAfterTheirEnd = (organizationId: string) =>
  stack.database.query(
    `with endings as (
       select pg_xact_commit_timestamp(a.xmin) as at, subject_kind as kind, subject_id as id, t.kept_session_ids as kept
       from audit_events a join terminations t on t.id = (details ->> 'terminationId')::uuid
       where a.organization_id = $1 and action in ('termination.requested', 'termination.joined')
       union all
       select pg_xact_commit_timestamp(xmin), 'session', split_part(event_id, ' ', 2), '{}'
       from seen_session_events where organization_id = $1 and event_id like 'out %'
     )
     select a.action, a.actor ->> 'id' as actor, e.kind as ended_by from audit_events a join endings e
       on pg_xact_commit_timestamp(a.xmin) > e.at and a.actor ->> 'sessionId' <> all (e.kept)
       and case e.kind when 'session' then e.id = a.actor ->> 'sessionId' when 'user' then e.id = a.actor ->> 'id' else true end
     where a.organization_id = $1 and a.actor ->> 'kind' = 'org-admin'`,
    [organizationId],
  );
