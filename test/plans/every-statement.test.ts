import { sql } from 'kysely';
import { beforeAll, expect, it, vi } from 'vitest';
import { createActivities } from '../../src/activities/index.ts';
import type { TerminationActivityOptions } from '../../src/activities/termination/pass-result.ts';
import { openDatabase, rows } from '../../src/database.ts';
import { routeTable } from '../api/route-table.ts';
import { eventually } from '../harness/client.ts';
import { cloneDatabase, type TestDatabase } from '../harness/database.ts';
import { useStack } from '../harness/stack.ts';
import { readsTooMuch } from './reads.ts';
import { recordPlans, tellPlans } from './record-plans.ts';
import { ranOf, runScenario } from './scenario.ts';
import { seed } from './seed.ts';

// a busy machine may take longer for a million rows
vi.setConfig({ hookTimeout: 300_000 });

const plans = recordPlans();
let seeded: TestDatabase;
const stack = useStack({
  environment: async () => {
    seeded = await cloneDatabase();
    await seed(seeded);
    await tellPlans(seeded);
    return { DATABASE_URL: seeded.url, VERIFY_AFTER_SECONDS: '1', ACCESS_TOKEN_TTL_SECONDS: '2' };
  },
});
let answers: Record<string, number> = {};
beforeAll(async () => {
  answers = await runScenario(stack, seeded);
  return () => seeded.drop();
});

const tooMuch = (among: typeof plans) => [...new Set(among.flatMap((plan) => readsTooMuch(plan) ?? []))];

it('no statement of a request, pass or loop reads more than what it is about, among a million rows that are not', () => {
  expect(new Set(plans.map((plan) => plan['Query Text'])).size).toBeGreaterThan(90);
  expect(tooMuch(plans)).toEqual([]);
});

it('every route was asked, and every activity has run: one that comes new has to be, to be sent past these rows', async () => {
  const refused = Object.entries(answers).filter(([, status]) => status >= 300);
  expect(refused).toEqual([]);
  expect(Object.keys(answers).toSorted()).toEqual(
    routeTable()
      .map(({ operationId }) => operationId)
      .toSorted(),
  );
  const all = Object.keys(createActivities({} as TerminationActivityOptions)).toSorted();
  await eventually(
    () => ranOf(all, stack),
    (ran) => JSON.stringify(ran) === JSON.stringify(all),
  );
});

const careless = {
  'a filter that no index holds': sql`select id from sessions where organization_id = ${'acme'} and client = ${'none'}`,
  'a look at the clock for each row': sql`select id from terminations where verified_at is null and dispatch_after <= current_instant() and ${true}`,
  'an existence that any row seems to prove': sql`select 1 where not exists (select from sessions where organization_id = ${'acme'} and termination_id is not null and client is not null)`,
  'an index that is walked past the keys of others': sql`select id from terminations where organization_id = ${'acme'} and cutoff > ${'2100-01-01'}::timestamptz`,
};
it.each(Object.entries(careless))('%s is found', async (_, statement) => {
  const database = await openDatabase({ url: seeded.url, applicationName: 'session-management-careless' });
  const before = plans.length;
  await rows(database.pool, statement);
  await database.close();
  expect(tooMuch(plans.slice(before))).toHaveLength(1);
});
