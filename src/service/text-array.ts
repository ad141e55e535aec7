import pg from 'pg';

const OID_OF_TEXT_ARRAY = 1009;
const types: { getTypeParser: (oid: number) => (text: string) => string[] } = pg.types;
const parse = types.getTypeParser(OID_OF_TEXT_ARRAY);

const MOST_REMEMBERED = 1_000;
const remembered = new Map<string, readonly string[]>();

/**
 * PostgreSQL's text of a `text[]`, parsed. For columns of few distinct values: each is parsed once and remembered, for
 * parsing makes as much garbage as all the rest of its row.
 */
export function textArray(text: string): string[] {
  const known = remembered.get(text);
  if (known !== undefined) return [...known];
  const parsed = parse(text);
  if (remembered.size >= MOST_REMEMBERED) remembered.clear();
  remembered.set(text, [...parsed]);
  return parsed;
}
