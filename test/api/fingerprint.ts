import type { TestDatabase } from '../harness/database.ts';

/** Count and hash of every table's rows; with `organizationId` only of the rows that belong to it. */
export async function fingerprint(
  { query }: Pick<TestDatabase, 'query'>,
  organizationId?: string,
): Promise<Record<string, string>> {
  const tables = await query<{ name: string; owned: boolean }>(
    `select c.relname as name, exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'organization_id' and a.attnum > 0) as owned
     from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' order by 1`,
  );
  const parts = tables
    .filter(({ owned }) => organizationId === undefined || owned)
    .map(({ name }) => {
      const where = organizationId === undefined ? '' : `where t.organization_id = $1`;
      return `select '${name}' as name, count(*) || ' ' || coalesce(md5(string_agg(t::text, e'\\n' order by t::text)), '') as rows from "${name}" t ${where}`;
    });
  const found = await query<{ name: string; rows: string }>(
    parts.join(' union all '),
    organizationId === undefined ? [] : [organizationId],
  );
  return Object.fromEntries(found.map(({ name, rows }) => [name, rows]));
}
