import { beforeEach, expect, it } from 'vitest';
import { eventually } from '../harness/client.ts';
import { useStack } from '../harness/stack.ts';
import { auditOf, signIn, terminate } from '../harness/terminations.ts';
import { asOwner, auditVerify } from './use-audit-verify.ts';

const stack = useStack();
const verify = () => auditVerify({ DATABASE_URL: stack.database.url });

let organizationId = '';
let count = 0;
/** Three terminations, so six events, all sealed. */
beforeEach(async () => {
  organizationId = `audited-${(count += 1)}`;
  await signIn(
    stack,
    ...[1, 2, 3].map((n) => ({ organizationId, userId: 'grace', sessionId: `s${n}`, chainIds: [`c${n}`] })),
  );
  for (const n of [1, 2, 3])
    await terminate(stack, organizationId, `sessions/s${n}/terminate`, {
      body: { reason: `reason ${n}` },
      prefer: 'wait=20',
    });
  await eventually(
    () => auditOf(stack, organizationId),
    (events) => events.length === 6 && events.every(({ hash }) => hash !== null),
    5_000,
  );
});

it('every termination is requested once and completed once, by whom and with what came of it', async () => {
  const events = await auditOf(stack, organizationId);
  expect(events.map(({ action, subject, actor, reason }) => [action, subject.id, actor.kind, reason])).toEqual(
    [1, 2, 3].flatMap((n) => [
      ['termination.requested', `s${n}`, 'org-admin', `reason ${n}`],
      ['termination.completed', `s${n}`, 'system', null],
    ]),
  );
  expect(new Set(events.map(({ details }) => details.terminationId)).size).toBe(3);
  expect(events[1]?.details).toMatchObject({
    sessions: { total: 1 },
    chains: { total: 1, confirmed: 1, alreadyDead: 0 },
  });
});

it('events are sealed within seconds into one chain, which is verified', async () => {
  const sealed = (await auditOf(stack, organizationId)).toSorted((a, b) =>
    a.previousHash === '0'.repeat(64) ? -1 : b.previousHash === a.hash ? -1 : 1,
  );
  expect(new Set(sealed.map(({ hash }) => hash)).size).toBe(6);
  expect(sealed.filter(({ previousHash }) => previousHash === '0'.repeat(64))).toHaveLength(1);
  expect(new Set(sealed.map(({ previousHash }) => previousHash)).size).toBe(6);
  const { code, out, err } = await verify();
  expect({ code, err }).toEqual({ code: 0, err: '' });
  expect(out).toMatch(/no gap, no edit/);
});

it.each([
  `update audit_events set reason = 'another'`,
  `delete from audit_events`,
  `truncate audit_events cascade`,
  `update audit_seals set hash = ''`,
  `delete from audit_seals`,
  `truncate audit_seals`,
  `truncate organizations cascade`,
])('the database refuses `%s`, to its superuser too', async (statement) => {
  expect(
    await stack.database.query<{ is: boolean }>('select usesuper as is from pg_user where usename = current_user'),
  ).toEqual([{ is: true }]);
  const before = await auditOf(stack, organizationId);
  await expect(stack.database.query(statement)).rejects.toThrow('append-only');
  expect(await auditOf(stack, organizationId)).toEqual(before);
});

const third = `(select audit_event_id from audit_seals where organization_id = '$org' and sequence = 3)`;
it.each([
  {
    name: 'an edited reason',
    statement: `update audit_events set reason = 'another' where id = ${third}`,
    told: /sequence 3: audit event \S+ or its seal was changed/,
  },
  {
    name: 'an edited actor',
    statement: `update audit_events set actor = jsonb_set(actor, '{id}', '"somebody-else"') where id = ${third}`,
    told: /sequence 3: .*changed/,
  },
  {
    name: 'an edited counter',
    statement: `update audit_events set details = details || '{"x":1}' where id = ${third}`,
    told: /sequence 3: .*changed/,
  },
  {
    name: 'an edited time',
    statement: `update audit_events set at = at - interval '1 millisecond' where id = ${third}`,
    told: /sequence 3: .*changed/,
  },
  {
    name: 'a removed event',
    statement: `delete from audit_events where id = ${third}`,
    told: /sequence 3: audit event \S+ was removed/,
  },
  {
    name: 'an event removed with its seal',
    statement: `delete from audit_events where id = ${third}; delete from audit_seals where organization_id = '$org' and sequence = 3`,
    told: /sequence 3: a seal is missing/,
  },
  {
    name: 'an event removed with its seal and the gap closed',
    statement: `delete from audit_events where id = ${third}; delete from audit_seals where organization_id = '$org' and sequence = 3; update audit_seals set sequence = sequence - 1 where organization_id = '$org' and sequence > 3`,
    told: /sequence 3: the chain is broken/,
  },
  {
    name: 'an event inserted beside the chain',
    statement: `insert into audit_events (organization_id, at, action, actor, subject_kind, subject_id) values ('$org', now() - interval '2 minutes', 'termination.completed', '{}', 'user', 'x')`,
    told: /1 audit event\(s\) older than 1 minute are in no chain/,
  },
  {
    name: 'an event inserted into the chain',
    statement: `update audit_seals set sequence = sequence + 100 where organization_id = '$org' and sequence > 2;
      update audit_seals set sequence = sequence - 99 where organization_id = '$org' and sequence > 2;
      with e as (insert into audit_events (organization_id, at, action, actor, subject_kind, subject_id) values ('$org', now(), 'termination.completed', '{}', 'user', 'x') returning id)
      insert into audit_seals (organization_id, sequence, audit_event_id, hash, previous_hash)
      select '$org', 3, id, 'invented', (select hash from audit_seals where organization_id = '$org' and sequence = 2) from e`,
    told: /sequence 3: .*changed/,
  },
])('`npm run audit:verify` finds $name, and says where', async ({ statement, told }) => {
  await asOwner(stack.database, statement.replaceAll('$org', organizationId));
  const { code, err } = await verify();
  expect(code).toBe(1);
  const line = err.split('\n').find((each) => each.includes(`"${organizationId}"`)) ?? '';
  expect(line).toMatch(told);
});

it('`npm run audit:verify` without a database says what it needs', async () => {
  expect(await auditVerify({ DATABASE_URL: '' })).toMatchObject({ code: 1, err: 'DATABASE_URL: is required\n' });
});
