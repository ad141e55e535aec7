import type pg from 'pg';

/** No token of the chain mints another one from the commit on, including one that is being made at this moment. */
export async function killChain(pool: pg.Pool, chainId: string, reason: 'revoked'): Promise<void> {
  await pool.query(
    `update auth_chains set dead_at = clock_timestamp(), dead_reason = $2, closed_at = coalesce(closed_at, clock_timestamp())
     where chain_id = $1 and dead_at is null`,
    [chainId, reason],
  );
}
