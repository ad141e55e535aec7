import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { cloneDatabase, type TestDatabase } from '../harness/database.ts';

let clone: TestDatabase;
beforeAll(async () => {
  clone = await cloneDatabase();
  await clone.query(`insert into organizations (id) values ('a'), ('b')`);
  await clone.query(
    `insert into users (organization_id, id) select o, u from unnest('{a,b}'::text[]) o, unnest('{a,x,y}'::text[]) u`,
  );
});
afterAll(() => clone.drop());

const organizationId = fc.constantFrom('a', 'b');
// the id of an organization is also that of a user: scopes are told apart by their kind
const userId = fc.constantFrom('a', 'x', 'y');
const id = fc.constantFrom('s0', 's1', 's2', 's3');
const minute = fc.integer({ min: 0, max: 4 });
const sessions = fc.uniqueArray(
  fc.record({
    organizationId,
    id,
    userId,
    startedAt: minute,
    recordedAt: minute,
    recordedOrder: minute,
    parentId: fc.option(id),
    isEnded: fc.boolean(),
  }),
  { selector: (session) => `${session.organizationId} ${session.id}`, minLength: 1, maxLength: 8 },
);
const scope = fc.oneof(
  fc.record({ kind: fc.constant('user'), scopeId: userId }),
  fc.record({ kind: fc.constant('organization'), scopeId: organizationId }),
  fc.record({ kind: fc.constant('session'), scopeId: id }),
);
const terminations = fc.array(
  fc.record({
    organizationId,
    scope,
    requestedAt: minute,
    joinedAfter: minute,
    kept: fc.array(id, { maxLength: 2 }),
    decidedOrder: minute,
    heldFor: minute,
    earlier: fc.array(fc.record({ decided_order: minute, cutoff: minute }), { maxLength: 2 }),
  }),
  { maxLength: 5 },
);

const at = (column: string) => `timestamptz '2026-01-01Z' + ${column} * interval '1 minute'`;

it('a user’s list tells of each session what every other question is told of it, whatever fences there are', async () => {
  let over = 0;
  await fc.assert(
    fc.asyncProperty(sessions, terminations, async (someSessions, someTerminations) => {
      await clone.query('truncate sessions, terminations cascade');
      await clone.query(
        `insert into sessions (organization_id, id, user_id, started_at, recorded_at, recorded_order, last_seen_at, ended_at, end_reason, parent_organization_id, parent_session_id)
        select "organizationId", id, "userId", ${at('"startedAt"')}, ${at('"recordedAt"')}, "recordedOrder", ${at('"startedAt"')},
          case when "isEnded" then ${at('5')} end, case when "isEnded" then 'signed-out' end, case when "parentId" is not null then "organizationId" end, "parentId"
        from jsonb_to_recordset($1::jsonb) as s("organizationId" text, id text, "userId" text, "startedAt" int, "recordedAt" int, "recordedOrder" int, "parentId" text, "isEnded" boolean)`,
        [JSON.stringify(someSessions)],
      );
      await clone.query(
        `insert into terminations (organization_id, scope_kind, scope_id, requested_at, cutoff, decided_order, holds_until, decided_at, earlier_decisions, kept_session_ids, requested_by, progress_at, next_look_at, dispatch_after)
        select "organizationId", scope->>'kind', scope->>'scopeId', ${at('"requestedAt"')}, ${at('("requestedAt" + "joinedAfter")')}, "decidedOrder", ${at('"heldFor"')}, ${at('("requestedAt" + "joinedAfter")')},
          (select coalesce(jsonb_agg(decision_of(${at('(d ->> $$cutoff$$)::int')}, ${at('(d ->> $$cutoff$$)::int')}, (d ->> 'decided_order')::int, ${at('(d ->> $$cutoff$$)::int')})), '[]') from jsonb_array_elements(earlier) d), array(select jsonb_array_elements_text(kept)), '{}', now(), now(), now()
        from jsonb_to_recordset($1::jsonb) as t("organizationId" text, scope jsonb, "requestedAt" int, "joinedAfter" int, kept jsonb, "decidedOrder" int, "heldFor" int, earlier jsonb)`,
        [JSON.stringify(someTerminations)],
      );
      const states = await clone.query<{ over_at: Date | null }>(
        'select * from session_states order by organization_id, id',
      );
      const listed = await clone.query(
        `select listed.* from users u cross join lateral session_states_of(u.organization_id, u.id) listed order by organization_id, id`,
      );
      // which of two fences of the same instant is named is not said
      expect(listed.map(withoutFence)).toEqual(states.map(withoutFence));
      over += states.filter((state) => state.over_at !== null).length;
    }),
    { numRuns: 150 },
  );
  expect(over).toBeGreaterThan(50);
});

const withoutFence = ({ over_termination_id, ...state }: Record<string, unknown>) => ({
  ...state,
  isFenced: over_termination_id !== null,
});
