import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import pg from 'pg';
import { format, resolveConfig } from 'prettier';
import { expect, it, onTestFinished } from 'vitest';
import { cloneDatabase } from '../harness/database.ts';
import { describeVersion, type ReleasedVersion } from './released-version.ts';
import { whatBreaks } from './what-breaks.ts';

const here = (name: string) => new URL(name, import.meta.url);
const read = (url: URL): unknown => JSON.parse(readFileSync(url, 'utf8'));
const released = readdirSync(here('.')).filter((file) => /^statements-.*\.json$/.test(file));
const versionOf = (file: string) => read(here(file)) as ReleasedVersion;

const trigger = (head: string) => `CREATE TRIGGER ${head} ON public.sessions`;

/** New rules that the previous version's rows are known to meet: the rule as it is found, and why it does no harm. */
const harmless: Record<string, string> = {
  [`a new rule on sessions: ${trigger('sessions_first_start BEFORE INSERT')} FOR EACH ROW EXECUTE FUNCTION keep_first_start()`]:
    'it refuses nothing: it writes a column that the previous version does not know',
  [`a new rule on sessions: ${trigger('sessions_first_start_stays BEFORE UPDATE OF first_started_at')} FOR EACH ROW WHEN (((old.first_started_at <> '-infinity'::timestamp with time zone) AND (new.first_started_at <> old.first_started_at))) EXECUTE FUNCTION refuse_other_first_start()`]:
    'it looks only at a column that the previous version does not know',
  [`a new rule on sessions: ${trigger('sessions_other_expiry BEFORE UPDATE OF expires_at')} FOR EACH ROW WHEN (((old.expiry_marked_at IS NOT NULL) AND (new.expires_at IS DISTINCT FROM old.expires_at))) EXECUTE FUNCTION unmark_expiry()`]:
    'it refuses nothing: it undoes a mark that the previous version does not know',
  'a new rule on terminations: CREATE TRIGGER note_join BEFORE UPDATE OF cutoff ON public.terminations FOR EACH ROW WHEN (((new.cutoff > old.cutoff) AND (new.decided_order = old.decided_order))) EXECUTE FUNCTION note_join()':
    'it refuses nothing: it notes for the previous version what its join covers',
};

const harmIn = async (client: pg.Client, version: ReleasedVersion): Promise<string[]> =>
  (await whatBreaks(client, version)).filter((problem) => !(problem in harmless));

/** A database with the present schema, changed by `migration`. */
async function migrated(migration = 'select'): Promise<pg.Client> {
  const database = await cloneDatabase();
  const client = new pg.Client({ connectionString: database.url });
  onTestFinished(async () => {
    await client.end();
    await database.drop();
  });
  await client.connect();
  await client.query(migration);
  return client;
}

const recorded = process.env['STATEMENTS_FILE'];
it.runIf(recorded)('keeps the statements that were recorded, once for each version', async () => {
  const { version } = read(here('../../package.json')) as { version: string };
  const file = here(`statements-${version}.json`);
  if (existsSync(file)) return;
  const lines = readFileSync(recorded ?? '', 'utf8')
    .trimEnd()
    .split('\n');
  const texts = [...new Set(lines)].map((line) => JSON.parse(line) as string).toSorted();
  const text = JSON.stringify(await describeVersion(await migrated(), texts), null, 2);
  writeFileSync(file, await format(text, { ...(await resolveConfig(file)), filepath: file.pathname }));
});

it.each(released)('the processes of %s do their work on the present schema', async (file) => {
  const version = versionOf(file);
  expect(version.statements.length).toBeGreaterThan(50);
  expect(await harmIn(await migrated(), version)).toEqual([]);
});

const unsafe: [string, string, RegExp][] = [
  [
    'a renamed column',
    'alter table seen_session_events rename column seen_at to noted_at',
    /column "seen_at" .*not exist|seen_session_events do not give noted_at/,
  ],
  ['a dropped table', 'drop table retention_progress', /relation "retention_progress" does not exist/],
  [
    'a new column that has to be given',
    'alter table users add column region text not null',
    /^inserts into users do not give region$/,
  ],
  [
    'a column of another type',
    'alter table idempotency_keys alter column response_status type bigint',
    /^(parameters|results) were .*(smallint|integer).* and are .*bigint/,
  ],
  [
    'an index that an upsert needs and that is gone',
    'alter table idempotency_keys drop constraint idempotency_keys_pkey',
    /no unique or exclusion constraint matching/,
  ],
  [
    'a narrower rule',
    'alter table users add check (length(id) < 9)',
    /^a new rule on users: CHECK \(\(length\(id\) < 9\)\)$/,
  ],
];

it.each(unsafe)('%s is found, and nothing else', async (_, migration, problem) => {
  expect(released).not.toEqual([]);
  for (const file of released) {
    const found = await harmIn(await migrated(migration), versionOf(file));
    expect(found).not.toEqual([]);
    expect(found.filter((one) => !problem.test(one))).toEqual([]);
  }
});

it('a step that only adds is let through', async () => {
  const client = await migrated(`
    create table regions (id text primary key);
    alter table users add column region text references regions (id) check (region <> '');
    alter table users add column rank int not null default 0;
    create index users_by_region on users (region)`);
  for (const file of released) expect(await harmIn(client, versionOf(file))).toEqual([]);
});

it('a join of the previous version covers what signed in since the request, and moves no end', async () => {
  const client = await migrated();
  await client.query(
    `insert into organizations (id) values ('org'); insert into users (organization_id, id) values ('org', 'grace')`,
  );
  const signIn = (id: string) =>
    client.query(
      `insert into sessions (organization_id, id, user_id, started_at, recorded_at, last_seen_at)
        select 'org', $1, 'grace', now, now, now from (select current_instant() as now) clock`,
      [id],
    );
  const states = async () =>
    (await client.query<{ id: string; over_at: Date | null }>('select id, over_at from session_states order by id'))
      .rows;
  const later = (ms = 60_000) => client.query('update test_clock set offset_ms = offset_ms + $1', [ms]);
  await signIn('before');
  await client.query(
    `insert into terminations (organization_id, scope_kind, scope_id, cutoff, requested_at, requested_by, progress_at, next_look_at, dispatch_after)
      select 'org', 'user', 'grace', now, now, '{}', now, now, now from (select current_instant() as now) clock`,
  );
  await later();
  await signIn('between');
  const [first, between] = await states();
  expect([first?.over_at === null, between?.over_at]).toEqual([false, null]);
  for (const round of [1, 2]) {
    await later();
    await client.query('update terminations set cutoff = greatest(cutoff, current_instant()), revision = revision + 1');
    // not in the very millisecond of the cutoff, which it covers
    await later(10);
    await signIn(`after-${round}`);
  }
  const ends = await states();
  expect(ends.map(({ id, over_at }) => [id, over_at !== null])).toEqual([
    ['after-1', true],
    ['after-2', false],
    ['before', true],
    ['between', true],
  ]);
  expect(ends.find(({ id }) => id === 'before')).toEqual(first);
  const minutesAfterFirst = (name: string) => {
    const end = ends.find(({ id }) => id === name)?.over_at?.getTime() ?? Number.NaN;
    return Math.round((end - (first?.over_at?.getTime() ?? Number.NaN)) / 60_000);
  };
  expect(['between', 'after-1'].map(minutesAfterFirst)).toEqual([2, 3]);
});
