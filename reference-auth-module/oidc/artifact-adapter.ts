import { errors, type Adapter, type AdapterPayload } from 'oidc-provider';
import type pg from 'pg';
import { expiryOf, keyOf } from './stored-payload.ts';

/** Stores everything that opens nothing by itself: interactions, replay marks and the like. */
export function createArtifactAdapter(model: string, { pool }: { pool: pg.Pool }): Adapter {
  return {
    async upsert(id, payload, expiresIn) {
      await pool.query(
        `insert into auth_artifacts (model, key, payload, expires_at) values ($1, $2, $3, $4)
         on conflict (model, key) do update set payload = excluded.payload, expires_at = excluded.expires_at`,
        [model, keyOf(id), withoutCookie(payload), expiresIn ? expiryOf(expiresIn) : null],
      );
    },
    async find(id) {
      const { rows } = await pool.query<{ payload: AdapterPayload; consumed: number | null }>(
        `select payload, extract(epoch from consumed_at)::int as consumed from auth_artifacts
         where model = $1 and key = $2 and (expires_at is null or expires_at > clock_timestamp())`,
        [model, keyOf(id)],
      );
      return rows[0] && { ...rows[0].payload, ...(rows[0].consumed !== null && { consumed: rows[0].consumed }) };
    },
    async consume(id) {
      const { rowCount } = await pool.query(
        'update auth_artifacts set consumed_at = clock_timestamp() where model = $1 and key = $2 and consumed_at is null',
        [model, keyOf(id)],
      );
      if (rowCount === 0) throw new errors.InvalidGrant('already used');
    },
    async destroy(id) {
      await pool.query('delete from auth_artifacts where model = $1 and key = $2', [model, keyOf(id)]);
    },
    revokeByGrantId: async () => {},
    findByUid: async () => undefined,
    findByUserCode: async () => undefined,
  };
}

/** An interaction copies the browser's session cookie, which nothing reads: a secret that needs no storing. */
function withoutCookie(payload: AdapterPayload): AdapterPayload {
  if (!payload.session) return payload;
  const { cookie: _secret, ...session } = payload.session;
  return { ...payload, session };
}
