import type pg from 'pg';
import {
  columnsOf,
  describe,
  nameOf,
  type ReleasedStatement,
  type ReleasedVersion,
  rulesOf,
} from './released-version.ts';

/** What in the schema that `client` is connected to would break the processes of a released version. */
export async function whatBreaks(client: pg.Client, version: ReleasedVersion): Promise<string[]> {
  const found = new Set<string>();
  for (const statement of version.statements)
    for (const problem of await refusals(client, statement)) found.add(problem);
  for (const problem of await unnamedColumns(client, version)) found.add(problem);
  for (const problem of await newRules(client, version)) found.add(problem);
  return [...found].toSorted();
}

async function refusals(client: pg.Client, before: ReleasedStatement): Promise<string[]> {
  try {
    const now = await describe(client, before.text);
    return (['parameters', 'results'] as const)
      .filter((kind) => now[kind] !== before[kind])
      .map((kind) => `${kind} were ${before[kind]} and are ${now[kind]}: ${before.text.trim().slice(0, 60)}`);
  } catch (error) {
    return [error instanceof Error ? error.message : String(error)];
  }
}

const INSERT = /\binsert\s+into\s+"?(\w+)"?\s*(?:as\s+\w+\s*)?(?:\(([^)]*)\))?/gi;

/** Each insert of a statement, with the columns that it names. */
export const insertsOf = (text: string): { table: string; named: string[] }[] =>
  [...text.matchAll(INSERT)].map(([, table = '', columns]) => {
    if (columns === undefined) throw new Error(`an insert that does not name its columns: ${text}`);
    return { table, named: columns.split(',').map((column) => column.trim().replaceAll('"', '')) };
  });

/** Columns that a row needs and that an insert of before does not give. */
async function unnamedColumns(client: pg.Client, { statements }: ReleasedVersion): Promise<string[]> {
  const required = (await columnsOf(client)).filter(({ isRequired }) => isRequired);
  return statements
    .flatMap(({ text }) => insertsOf(text))
    .flatMap(({ table, named }) =>
      required.filter((column) => column.table === table && !named.includes(column.column)),
    )
    .map(({ table, column }) => `inserts into ${table} do not give ${column}`);
}

/** What may refuse rows of before: rules it did not know, unless they look only at columns it did not know either. */
async function newRules(client: pg.Client, { tables, rules }: ReleasedVersion): Promise<string[]> {
  const looksAtKnown = (known: string[], columns: string[]) =>
    columns.length === 0 || columns.some((column) => known.includes(column));
  return (await rulesOf(client))
    .filter((rule) => rule.table in tables && !rules.includes(nameOf(rule)))
    .filter(({ table, columns }) => looksAtKnown(tables[table] ?? [], columns))
    .map((rule) => `a new rule on ${nameOf(rule)}`);
}
