import { sql } from 'kysely';
import { rows, type Transaction } from '../../database.ts';
import type { SessionEvent, SessionRecord } from '../../rules/session-event.ts';
import type { SessionEndReason } from '../../rules/session.ts';

/** Sessions and chains are keyed by (organization, id): the same id in two organizations is two sessions. */
export const keyOf = (organizationId: string, id: string): string => JSON.stringify([organizationId, id]);

interface StoredRow {
  organization_id: string;
  id: string;
  user_id: string;
  started_ms: string;
  seen_ms: string;
  expires_ms: string | null;
  ended_ms: string | null;
  end_reason: SessionEndReason | null;
  ip_address: string | null;
  user_agent: string | null;
  client: string | null;
  authentication_methods: string[];
  told_at: SessionRecord['toldAt'];
  support_access_grant_id: string | null;
  parent_organization_id: string | null;
  parent_session_id: string | null;
}

const ms = (column: string) => sql.raw(`(extract(epoch from ${column}) * 1000)::bigint`);
const number = (text: string | null): number | null => (text === null ? null : Number(text));

/** The sessions that a batch is about, locked in one order, so that two batches never wait for each other in a circle. */
export async function lockSessions(
  transaction: Transaction,
  events: readonly SessionEvent[],
): Promise<Map<string, SessionRecord>> {
  const wanted = JSON.stringify(events.map((e) => ({ o: e.organizationId, i: e.sessionId })));
  const stored = await rows<StoredRow>(
    transaction,
    sql`select s.organization_id, s.id, s.user_id, ${ms('s.started_at')} as started_ms, ${ms('s.last_seen_at')} as seen_ms, ${ms('s.expires_at')} as expires_ms,
        ${ms('s.ended_at')} as ended_ms, s.end_reason, s.ip_address, s.user_agent, s.client, s.authentication_methods, s.told_at, s.support_access_grant_id, s.parent_organization_id, s.parent_session_id
      from sessions s where (s.organization_id, s.id) in (select o, i from jsonb_to_recordset(${wanted}::jsonb) as w(o text, i text))
      order by s.organization_id, s.id for no key update`,
  );
  return new Map(
    stored.map((r) => [
      keyOf(r.organization_id, r.id),
      {
        organizationId: r.organization_id,
        id: r.id,
        userId: r.user_id,
        startedAt: Number(r.started_ms),
        lastSeenAt: Number(r.seen_ms),
        expiresAt: number(r.expires_ms),
        endedAt: number(r.ended_ms),
        endReason: r.end_reason,
        ipAddress: r.ip_address,
        userAgent: r.user_agent,
        client: r.client,
        authenticationMethods: r.authentication_methods,
        toldAt: r.told_at,
        supportAccessGrantId: r.support_access_grant_id,
        parentOrganizationId: r.parent_organization_id,
        parentSessionId: r.parent_session_id,
      },
    ]),
  );
}

/** Organizations and users exist from their first use. */
export async function ensureUsers(transaction: Transaction, events: readonly SessionEvent[]): Promise<void> {
  const people = JSON.stringify([
    ...new Map(events.map((e) => [keyOf(e.organizationId, e.userId), { o: e.organizationId, u: e.userId }])).values(),
  ]);
  await rows(
    transaction,
    sql`insert into organizations (id) select distinct o from jsonb_to_recordset(${people}::jsonb) as p(o text, u text)
      where (select 1 from organizations where id = o) is null order by o on conflict do nothing`,
  );
  await rows(
    transaction,
    sql`insert into users (organization_id, id) select o, u from jsonb_to_recordset(${people}::jsonb) as p(o text, u text)
      where (select 1 from users where organization_id = o and id = u) is null order by o, u on conflict do nothing`,
  );
}

/**
 * Writes new and changed sessions. False: another transaction made one of the new ones meanwhile, and the batch must
 * be folded again over what is there now.
 */
export async function writeSessions(
  transaction: Transaction,
  created: readonly SessionRecord[],
  updated: readonly SessionRecord[],
): Promise<boolean> {
  const columns =
    sql.raw(`"organizationId" text, id text, "userId" text, "startedAt" float8, "lastSeenAt" float8, "expiresAt" float8, "endedAt" float8, "endReason" text,
    "ipAddress" text, "userAgent" text, client text, "authenticationMethods" text[], "toldAt" jsonb, "supportAccessGrantId" uuid, "parentOrganizationId" text, "parentSessionId" text`);
  const at = (column: string) => sql.raw(`to_timestamp("${column}" / 1000)`);
  if (created.length > 0) {
    const inserted = await rows(
      transaction,
      sql`insert into sessions (organization_id, id, user_id, started_at, recorded_at, last_seen_at, expires_at, ended_at, end_reason, ip_address, user_agent, client,
          authentication_methods, told_at, support_access_grant_id, parent_organization_id, parent_session_id)
        select "organizationId", id, "userId", ${at('startedAt')}, current_instant(), ${at('lastSeenAt')}, ${at('expiresAt')}, ${at('endedAt')}, "endReason", "ipAddress", "userAgent", client,
          coalesce("authenticationMethods", '{}'), "toldAt", "supportAccessGrantId", "parentOrganizationId", "parentSessionId"
        from jsonb_to_recordset(${JSON.stringify(created)}::jsonb) as r(${columns}) order by "organizationId", id on conflict do nothing returning 1`,
    );
    if (inserted.length < created.length) return false;
  }
  if (updated.length > 0) {
    await rows(
      transaction,
      sql`update sessions s set started_at = ${at('startedAt')}, last_seen_at = ${at('lastSeenAt')}, expires_at = ${at('expiresAt')}, ended_at = ${at('endedAt')}, end_reason = r."endReason",
          ip_address = r."ipAddress", user_agent = r."userAgent", client = r.client, authentication_methods = coalesce(r."authenticationMethods", '{}'), told_at = r."toldAt",
          support_access_grant_id = r."supportAccessGrantId", parent_organization_id = r."parentOrganizationId", parent_session_id = r."parentSessionId"
        from jsonb_to_recordset(${JSON.stringify(updated)}::jsonb) as r(${columns}) where s.organization_id = r."organizationId" and s.id = r.id`,
    );
  }
  return true;
}
