import { errors, type Adapter, type AdapterPayload } from 'oidc-provider';
import type pg from 'pg';
import type { Clock } from '../clock.ts';
import { killChain } from '../refresh-chains/kill-chain.ts';
import { expiryOf, keyOf, withoutSecret } from './stored-payload.ts';

interface Stored {
  payload: AdapterPayload;
  consumed: number | null;
  /** Consumed a moment ago, and its successor is not there yet. */
  rotating: boolean;
}

/**
 * Stores authorization codes and refresh tokens, all that can mint in a chain.
 *
 * - A token is stored only under a share lock on its living chain, in one statement: whoever kills the chain either
 *   kills this token with it, or comes first and it is never stored. A code, and the first refresh token, need the
 *   sign-in to stand as well.
 * - A token of a dead chain is not found, and none outlives its session.
 * - A token is consumed once: of two uses at the same moment exactly one goes on.
 */
export function createChainTokenAdapter(kind: string, { pool, clock }: { pool: pg.Pool; clock: Clock }): Adapter {
  const isCode = kind === 'AuthorizationCode';

  return {
    async upsert(id, payload, expiresIn = 0) {
      const { rowCount } = await pool.query({
        name: isCode ? 'store_code' : 'store_refresh_token',
        text: isCode ? storeCode : storeRefreshToken,
        values: [
          keyOf(id),
          kind,
          payload.grantId,
          withoutSecret(payload),
          expiryOf(expiresIn),
          ...(isCode ? [] : [clock.now()]),
        ],
      });
      if (rowCount === 0) throw new errors.InvalidGrant('the chain or its session has ended');
    },
    async find(id) {
      const { rows } = await pool.query<Stored>({ name: 'find_chain_token', text: find, values: [keyOf(id), kind] });
      const stored = rows[0];
      if (!stored) return undefined;
      // A second use while the first is under way is refused, no more: the replay rule would kill the winner's new token.
      if (stored.rotating) throw new errors.InvalidGrant('already used');
      return { ...stored.payload, jti: id, ...(stored.consumed !== null && { consumed: stored.consumed }) };
    },
    async consume(id) {
      const { rowCount } = await pool.query({ name: 'consume_chain_token', text: consume, values: [keyOf(id)] });
      if (rowCount === 0) throw new errors.InvalidGrant('already used');
    },
    async destroy(id) {
      await pool.query('delete from auth_tokens where key = $1', [keyOf(id)]);
    },
    revokeByGrantId: (chainId) => killChain(pool, chainId, 'revoked'),
    findByUid: async () => undefined,
    findByUserCode: async () => undefined,
  };
}

const storeCode = `
  with chain as (select chain_id, expires_at from auth_chains
    where chain_id = $3 and dead_at is null and closed_at is null for share)
  insert into auth_tokens (key, kind, chain_id, payload, expires_at)
  select $1::bytea, $2, chain_id, $4::jsonb, least($5::timestamptz, expires_at) from chain`;

// The first token of a chain was told of by chain.started; each later one is a refresh, told in the same statement.
// The first one needs the sign-in to stand: until it is stored no search finds the chain, so that nobody would kill it.
const storeRefreshToken = `
  with chain as (select chain_id, session_id, expires_at from auth_chains
    where chain_id = $3 and dead_at is null and (closed_at is null or ($4::jsonb->>'rotations')::int > 0) for share),
  refreshed as (insert into auth_outbox (type, session_id, chain_id, occurred_at)
    select 'session.refreshed', session_id, chain_id, $6::timestamptz from chain where ($4::jsonb->>'rotations')::int > 0)
  insert into auth_tokens (key, kind, chain_id, payload, expires_at)
  select $1::bytea, $2, chain_id, $4::jsonb, least($5::timestamptz, expires_at) from chain`;

const find = `
  select t.payload, extract(epoch from t.consumed_at)::int as consumed,
    t.kind = 'RefreshToken' and t.consumed_at > clock_timestamp() - interval '10 seconds' and not exists (
      select 1 from auth_tokens s where s.chain_id = t.chain_id and s.kind = 'RefreshToken' and s.consumed_at is null) as rotating
  from auth_tokens t join auth_chains c using (chain_id)
  where t.key = $1 and t.kind = $2 and c.dead_at is null and t.expires_at > clock_timestamp()`;

const consume = `
  update auth_tokens t set consumed_at = clock_timestamp() from auth_chains c
  where t.key = $1 and t.consumed_at is null and c.chain_id = t.chain_id and c.dead_at is null`;
