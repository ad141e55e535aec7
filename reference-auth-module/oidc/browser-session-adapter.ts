import { Provider, type Adapter, type AdapterPayload } from 'oidc-provider';
import type pg from 'pg';
import type { Clock } from '../clock.ts';
import { endSessionsAndTell } from '../sign-in/end-sessions.ts';
import { expiryOf, keyOf, withoutSecret } from './stored-payload.ts';

/**
 * Stores what a browser is signed in to. Its account is a sign-in of ours, and it is found only while that one stands:
 * an administrator's end signs the browser out from the commit on, with nothing to delete.
 */
export function createBrowserSessionAdapter({ pool, clock }: { pool: pg.Pool; clock: Clock }): Adapter {
  async function findBy(column: 'key' | 'uid', value: Buffer | string): Promise<AdapterPayload | undefined> {
    const { rows } = await pool.query<{ payload: AdapterPayload }>(
      `select a.payload from auth_artifacts a left join auth_sessions s using (session_id)
       where a.model = 'Session' and a.${column} = $1 and a.expires_at > clock_timestamp()
         and (a.session_id is null or (s.ended_at is null and s.expires_at > clock_timestamp()))`,
      [value],
    );
    return rows[0]?.payload;
  }

  async function signOut(key: Buffer): Promise<void> {
    const { rows } = await pool.query<{ session_id: string | null }>(
      `select session_id from auth_artifacts where model = 'Session' and key = $1`,
      [key],
    );
    if (rows[0]?.session_id) await endSessionsAndTell({ pool, clock }, [rows[0].session_id], 'signed-out');
  }

  return {
    async upsert(id, payload, expiresIn = 0) {
      await pool.query(
        `insert into auth_artifacts (model, key, payload, uid, session_id, expires_at) values ('Session', $1, $2, $3, $4, $5)
         on conflict (model, key) do update set payload = excluded.payload, uid = excluded.uid,
           session_id = excluded.session_id, expires_at = excluded.expires_at`,
        [keyOf(id), withoutSecret(payload), payload.uid, payload.accountId ?? null, expiryOf(expiresIn)],
      );
    },
    async find(id) {
      const payload = await findBy('key', keyOf(id));
      return payload && { ...payload, jti: id };
    },
    findByUid: (uid) => findBy('uid', uid),
    async destroy(id) {
      if (isSigningOut()) await signOut(keyOf(id));
      await pool.query(`delete from auth_artifacts where model = 'Session' and key = $1`, [keyOf(id)]);
    },
    consume: async () => {},
    revokeByGrantId: async () => {},
    findByUserCode: async () => undefined,
  };
}

/** A browser session is destroyed also when only its cookie changes; the sign-in ends where its user said so. */
function isSigningOut(): boolean {
  const oidc = Provider.ctx?.oidc;
  return oidc?.route === 'end_session_confirm' && Boolean(oidc.params?.logout);
}
