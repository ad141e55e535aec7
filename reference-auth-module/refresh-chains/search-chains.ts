import type pg from 'pg';
import { z } from 'zod';

export interface ChainFilter {
  organizationId: string;
  userId?: string | undefined;
  sessionIds?: string[] | undefined;
  supportAccessGrantId?: string | undefined;
  /** Of the session, never of the chain: a later client's chain in an old session is found. */
  sessionStartedAtOrBefore?: string | undefined;
}

export interface FoundChain {
  chainId: string;
  sessionId: string;
  userId: string;
  organizationId: string;
  sessionStartedAt: string;
  supportAccessGrantId: string | null;
}

export interface Position {
  startedAt: string;
  chainId: string;
}

const pageSize = 500;

/**
 * A page of the organization's chains that can still mint tokens: alive, with an unused code or refresh token, or with
 * one that was used a moment ago: its successor may not be stored yet, and whoever asks must not miss it.
 *
 * Ordered by the session's start and resumed by key, each page costs the same wherever it lies. A chain that is made
 * while pages are read, in a session from before, may lie behind the cursor: the next search finds it.
 */
export async function searchChains(pool: pg.Pool, filter: ChainFilter, after: Position | undefined) {
  const { where, values } = conditions(filter, after);
  const { rows } = await pool.query<Omit<FoundChain, 'sessionStartedAt'> & { sessionStartedAt: Date }>(
    // lateral with a limit: one index probe for each chain, never a join of all tokens
    `select c.chain_id as "chainId", c.session_id as "sessionId", c.user_id as "userId", c.organization_id as "organizationId",
       c.session_started_at as "sessionStartedAt", c.support_access_grant_id as "supportAccessGrantId"
     from auth_chains c cross join lateral (
       (select 1 from auth_tokens t where t.chain_id = c.chain_id and t.consumed_at is null and t.expires_at > clock_timestamp() limit 1)
       union all
       (select 1 from auth_tokens t where t.chain_id = c.chain_id and t.consumed_at > clock_timestamp() - interval '10 seconds' limit 1)
       limit 1) alive
     where ${where.join(' and ')} order by c.session_started_at, c.chain_id limit ${pageSize + 1}`,
    values,
  );
  const chains = rows
    .slice(0, pageSize)
    .map((row): FoundChain => ({ ...row, sessionStartedAt: row.sessionStartedAt.toISOString() }));
  const last = rows.length > pageSize ? chains.at(-1) : undefined;
  return { chains, nextCursor: last ? cursorOf({ startedAt: last.sessionStartedAt, chainId: last.chainId }) : null };
}

function conditions(filter: ChainFilter, after: Position | undefined) {
  const values: unknown[] = [];
  const bind = (value: unknown) => `$${values.push(value)}`;
  const where = ['c.dead_at is null', `c.organization_id = ${bind(filter.organizationId)}`];
  if (filter.userId !== undefined) where.push(`c.user_id = ${bind(filter.userId)}`);
  if (filter.sessionIds !== undefined) where.push(`c.session_id = any(${bind(filter.sessionIds)})`);
  if (filter.supportAccessGrantId !== undefined)
    where.push(`c.support_access_grant_id = ${bind(filter.supportAccessGrantId)}`);
  if (filter.sessionStartedAtOrBefore !== undefined)
    where.push(`c.session_started_at <= ${bind(filter.sessionStartedAtOrBefore)}`);
  if (after) where.push(`(c.session_started_at, c.chain_id) > (${bind(after.startedAt)}, ${bind(after.chainId)})`);
  return { where, values };
}

function cursorOf({ startedAt, chainId }: Position): string {
  return Buffer.from(JSON.stringify([startedAt, chainId])).toString('base64url');
}

const Cursor = z.tuple([
  z.iso.datetime({ precision: 3 }),
  z
    .string()
    .min(1)
    .max(255)
    .regex(/^[^\0]+$/),
]);

/** Null for anything that was not made here. */
export function parseCursor(cursor: string): Position | null {
  try {
    const [startedAt, chainId] = Cursor.parse(JSON.parse(Buffer.from(cursor, 'base64url').toString()));
    return { startedAt, chainId };
  } catch {
    return null;
  }
}
