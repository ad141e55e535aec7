import type pg from 'pg';

/** A statement, with the types that PostgreSQL gave its parameters and its columns in the schema of its release. */
export interface ReleasedStatement {
  text: string;
  parameters: string;
  results: string;
}
export interface ReleasedVersion {
  statements: ReleasedStatement[];
  /** The columns of each table. */
  tables: Record<string, string[]>;
  /** What could refuse a row: constraints, unique indexes, triggers. */
  rules: string[];
}

/** Prepares and plans a statement, which runs nothing; rejects where the schema does not have what it asks for. */
export async function describe(client: pg.Client, text: string): Promise<ReleasedStatement> {
  await client.query(`prepare described as ${text}`);
  try {
    const { rows } = await client.query<{ parameters: string; results: string | null }>(
      `select parameter_types::text as parameters, result_types::text as results
       from pg_prepared_statements where name = 'described'`,
    );
    // only the planner looks for the unique index that an `on conflict` names
    await client.query(`explain (generic_plan) ${text}`);
    return { text, parameters: rows[0]?.parameters ?? '', results: rows[0]?.results ?? '' };
  } finally {
    await client.query('deallocate described');
  }
}

interface Column {
  table: string;
  column: string;
  /** A row that does not name it is refused. */
  isRequired: boolean;
}
export const columnsOf = async (client: pg.Client): Promise<Column[]> =>
  (
    await client.query<Column>(`
      select c.relname as table, a.attname as column,
        a.attnotnull and not a.atthasdef and a.attidentity = '' as "isRequired"
      from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
      where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and c.relname <> 'test_clock'
      order by 1, a.attnum`)
  ).rows;

interface Rule {
  table: string;
  /** Those it looks at; empty where it may look at any. */
  columns: string[];
  definition: string;
}
export const rulesOf = async (client: pg.Client): Promise<Rule[]> =>
  (
    await client.query<Rule>(`
      with rule (relation, numbers, definition) as (
        select conrelid, conkey, pg_get_constraintdef(oid) from pg_constraint where conrelid <> 0
        union all select indrelid, indkey::int2[], pg_get_indexdef(indexrelid) from pg_index where indisunique
        union all select tgrelid, '{}', pg_get_triggerdef(oid) from pg_trigger where not tgisinternal)
      select c.relname as table, r.definition,
        array(select attname::text from pg_attribute where attrelid = c.oid and attnum = any(r.numbers)) as columns
      from rule r join pg_class c on c.oid = r.relation
      where c.relnamespace = 'public'::regnamespace and c.relname <> 'test_clock'
      order by 1, 2`)
  ).rows;

export const nameOf = ({ table, definition }: Rule): string => `${table}: ${definition}`;

/** What is kept of a release. */
export async function describeVersion(client: pg.Client, texts: readonly string[]): Promise<ReleasedVersion> {
  const statements: ReleasedStatement[] = [];
  for (const text of texts) statements.push(await describe(client, text));
  const tables = Map.groupBy(await columnsOf(client), ({ table }) => table);
  return {
    statements,
    tables: Object.fromEntries([...tables].map(([table, all]) => [table, all.map(({ column }) => column)])),
    rules: (await rulesOf(client)).map(nameOf),
  };
}
