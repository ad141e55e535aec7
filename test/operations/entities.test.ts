import type { EntityProperty } from '@mikro-orm/postgresql';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Database, openDatabase } from '../../src/database.ts';
import { cloneDatabase, type TestDatabase } from '../harness/database.ts';

let clone: TestDatabase;
let database: Database;
beforeAll(async () => {
  clone = await cloneDatabase();
  database = await openDatabase({ url: clone.url, applicationName: 'entities' });
});
afterAll(async () => {
  await database.close();
  await clone.drop();
});

const entities = () => [...database.orm.getMetadata().getAll().values()];
const columnsOf = (properties: EntityProperty[]) =>
  properties.flatMap((property) =>
    property.fieldNames.map((column, i) => ({ property, column, type: property.columnTypes[i] })),
  );

interface Column {
  table: string;
  column: string;
  type: string;
  nullable: boolean;
  primary: boolean;
  generated: boolean;
}
/** One line a column, so that a difference shows as the lines that differ. */
const lines = (columns: Column[]) =>
  columns
    .map(({ table, column, type, nullable, primary, generated }) =>
      [
        `${table}.${column}`,
        type,
        nullable ? 'null' : 'not null',
        ...(primary ? ['primary key'] : []),
        ...(generated ? ['generated'] : []),
      ].join(' '),
    )
    .toSorted();

/** What the entities say, with each type as PostgreSQL spells it. */
async function described(): Promise<Column[]> {
  const columns = entities().flatMap((entity) =>
    columnsOf(entity.props).map(({ property, column, type = '' }) => ({
      table: entity.tableName,
      column,
      type,
      nullable: property.nullable === true,
      primary: property.primary === true,
      generated: property.generated !== undefined,
    })),
  );
  const spelled = await clone.query<{ type: string }>(
    `select coalesce(format_type(to_regtype(said), to_regtypemod(said)), said || ', which is no type') as type
       from unnest($1::text[]) with ordinality as types (said, place) order by place`,
    [columns.map(({ type }) => type)],
  );
  return columns.map((column, i) => ({ ...column, type: spelled[i]?.type ?? '' }));
}

/** What the migrations have made. Tables that are no entity are not asked for. */
const migrated = () =>
  clone.query<Column & { [name: string]: unknown }>(
    `select relname as table, attname as column, format_type(atttypid, atttypmod) as type, not attnotnull as nullable,
            coalesce(attnum = any(indkey), false) as primary, attgenerated <> '' as generated
       from pg_class c join pg_attribute a on attrelid = c.oid and attnum > 0 and not attisdropped
       left join pg_index i on indrelid = c.oid and indisprimary
      where relnamespace = 'public'::regnamespace and relname = any($1)`,
    [entities().map((entity) => entity.tableName)],
  );

describe('the entities describe the schema that the migrations make', () => {
  it('in every table and column: its name, its type, whether it may be null, is the key, is generated', async () => {
    const said = lines(await described());
    expect(said.length).toBeGreaterThan(50);
    expect(said).toEqual(lines(await migrated()));
  });

  it('in every word that a column with a list of them may hold', async () => {
    const said = entities().flatMap((entity) =>
      columnsOf(entity.props.filter((property) => property.enum)).map(
        ({ property, column }) =>
          `${entity.tableName}.${column}: ${(property.items ?? []).map(String).toSorted().join(', ')}`,
      ),
    );
    const allowed = await clone.query<{ list: string }>(
      `select format('%s.%s: %s', relname, attname, string_agg(word[1], ', ' order by word[1] collate "C")) as list
         from pg_constraint k join pg_class c on c.oid = conrelid join pg_attribute a on attrelid = conrelid and conkey = array[attnum],
              regexp_matches(pg_get_constraintdef(k.oid), $$'([^']*)'::text$$, 'g') as word
        where contype = 'c' and relnamespace = 'public'::regnamespace and relname = any($1) group by relname, attname`,
      [entities().map((entity) => entity.tableName)],
    );
    expect(said).not.toEqual([]);
    expect(said.toSorted()).toEqual(allowed.map(({ list }) => list).toSorted());
  });
});
