import { errors, type Adapter, type AdapterPayload } from 'oidc-provider';
import type pg from 'pg';
import type { Clock } from '../clock.ts';
import { killChain } from '../refresh-chains/kill-chain.ts';

/**
 * Stores grants. A grant is a chain: one sign-in × one client, its id the chain's id (and no secret).
 *
 * A chain is made only under a share lock on its standing sign-in, together with its `chain.started` event; it does
 * not outlive its session; a dead one is not found.
 */
export function createGrantAdapter({ pool, clock }: { pool: pg.Pool; clock: Clock }): Adapter {
  return {
    async upsert(id, payload) {
      const { rowCount } = await pool.query({
        name: 'store_chain',
        text: store,
        values: [id, payload.accountId, payload.clientId, payload, clock.now()],
      });
      if (rowCount === 0) throw new errors.AccessDenied('the sign-in has ended');
    },
    async find(id) {
      const { rows } = await pool.query<{ grant_payload: AdapterPayload }>({
        name: 'find_chain',
        text: `select grant_payload from auth_chains where chain_id = $1 and dead_at is null and expires_at > clock_timestamp()`,
        values: [id],
      });
      return rows[0]?.grant_payload;
    },
    destroy: (id) => killChain(pool, id, 'revoked'),
    revokeByGrantId: (id) => killChain(pool, id, 'revoked'),
    consume: async () => {},
    findByUid: async () => undefined,
    findByUserCode: async () => undefined,
  };
}

const store = `
  with session as (select * from auth_sessions
    where session_id = $2 and accepted_at is not null and ended_at is null for share),
  chain as (
    insert into auth_chains (chain_id, session_id, client_id, organization_id, user_id, session_started_at,
      support_access_grant_id, grant_payload, expires_at)
    select $1, session_id, $3, organization_id, user_id, started_at, support_access_grant_id, $4::jsonb, expires_at from session
    on conflict (chain_id) do update set grant_payload = excluded.grant_payload where auth_chains.closed_at is null
    returning chain_id, session_id, xmax = 0 as is_new),
  started as (insert into auth_outbox (type, session_id, chain_id, occurred_at)
    select 'chain.started', session_id, chain_id, $5::timestamptz from chain where is_new)
  select chain_id from chain`;
