import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Database, openDatabase } from '../../src/database.ts';
import { createSealAudit } from '../../src/dispatcher/seal-audit.ts';
import { cloneDatabase, type TestDatabase } from '../harness/database.ts';

let test: TestDatabase;
let database: Database;
beforeAll(async () => {
  test = await cloneDatabase();
  database = await openDatabase({ url: test.url, applicationName: 'sealing-test' });
});
afterAll(async () => {
  await database.close();
  await test.drop();
});

const facts = async (organization: string, count: number) => {
  await test.query('insert into organizations (id) values ($1) on conflict do nothing', [organization]);
  await test.query(
    `insert into audit_events (organization_id, at, action, actor, subject_kind, subject_id)
     select $1, current_instant(), 'termination.requested', '{}', 'session', n::text from generate_series(1, $2::int) n`,
    [organization, count],
  );
};
const unsealed = async (organization: string): Promise<number> =>
  (await test.query('select 1 from audit_unsealed where organization_id = $1', [organization])).length;

it('an organization that floods its audit does not delay the seals of others, of which each has its turn', async () => {
  const seal = createSealAudit(database);
  // more than any round takes, and first in every order: by age and by id
  await facts('a-flood', 6_000);
  const others = Array.from({ length: 45 }, (_, n) => `other-${n}`);
  for (const organization of others) await facts(organization, 1);
  for (let round = 1; round <= 3; round++) await seal();
  for (const organization of others) expect(await unsealed(organization), organization).toBe(0);
  expect(await unsealed('a-flood')).toBeGreaterThan(4_000);
});

it('and what floods is sealed in the end, in the order of its instants', async () => {
  const seal = createSealAudit(database);
  for (let round = 0; (await unsealed('a-flood')) > 0 && round < 30; round++) await seal();
  expect(await unsealed('a-flood')).toBe(0);
  const [disorder] = await test.query<{ n: number }>(
    `select count(*)::int as n from (select at, lag(at) over (order by sequence) as before from audit_seals s join audit_events e on e.id = s.audit_event_id where s.organization_id = 'a-flood') x where before > at`,
  );
  expect(disorder?.n).toBe(0);
});
