import { createHash } from 'node:crypto';
import type { Pool, PoolClient } from 'pg';

/** Distinct statement texts are few and fixed; the bound only guards against a mistake. */
const MOST_NAMES = 1_000;
const names = new Map<string, string>();

function nameOf(text: string): string | undefined {
  const known = names.get(text);
  if (known !== undefined || names.size >= MOST_NAMES) return known;
  const name = createHash('sha256').update(text).digest('base64url').slice(0, 20);
  names.set(text, name);
  return name;
}

/**
 * Makes every parameterized statement of a pool a named prepared one, so that PostgreSQL plans it once a connection
 * and not at every call: the plans of our larger statements cost more than running them (2 ms against 0.7 ms).
 * Statements without parameters are left alone.
 */
export function prepareStatements(pool: Pool): void {
  pool.on('connect', (client: PoolClient) => {
    const query = client.query.bind(client) as (...given: unknown[]) => unknown;
    const prepared = (text: unknown, values: unknown, ...rest: unknown[]) => {
      const name = typeof text === 'string' && Array.isArray(values) && values.length > 0 ? nameOf(text) : undefined;
      return name === undefined ? query(text, values, ...rest) : query({ name, text, values }, ...rest);
    };
    Object.assign(client, { query: prepared });
  });
}
