import type pg from 'pg';

/** One sign-in of one user in one organization. Its id is public: it opens nothing. */
export interface AuthSession {
  sessionId: string;
  organizationId: string;
  userId: string;
  /** As they were when signing in: losing a role ends the session. */
  roles: string[];
  startedAt: Date;
  expiresAt: Date;
  supportAccessGrantId: string | null;
  parentSession: { organizationId: string; sessionId: string } | null;
  ipAddress: string | null;
  userAgent: string | null;
  client: string | null;
}

export type Row = Omit<AuthSession, 'parentSession'> & {
  parentOrganizationId: string | null;
  parentSessionId: string | null;
};

export const columns = `session_id as "sessionId", organization_id as "organizationId", user_id as "userId", roles,
  started_at as "startedAt", expires_at as "expiresAt", support_access_grant_id as "supportAccessGrantId",
  parent_organization_id as "parentOrganizationId", parent_session_id as "parentSessionId",
  ip_address as "ipAddress", user_agent as "userAgent", client`;

export function fromRow({ parentOrganizationId, parentSessionId, ...rest }: Row): AuthSession {
  const parentSession =
    parentOrganizationId !== null && parentSessionId !== null
      ? { organizationId: parentOrganizationId, sessionId: parentSessionId }
      : null;
  return { ...rest, parentSession };
}

/** The session whatever its state, as long as it was accepted and has not expired: offline chains outlive a sign-out. */
export async function findSession(pool: pg.Pool, sessionId: string): Promise<AuthSession | undefined> {
  const { rows } = await pool.query<Row>({
    name: 'auth_session',
    text: `select ${columns} from auth_sessions
      where session_id = $1 and accepted_at is not null and expires_at > clock_timestamp()`,
    values: [sessionId],
  });
  return rows[0] && fromRow(rows[0]);
}

/** The session only while its sign-in stands: neither signed out nor ended by an administrator. */
export async function findOpenSession(pool: pg.Pool, sessionId: string): Promise<AuthSession | undefined> {
  const { rows } = await pool.query<Row>(
    `select ${columns} from auth_sessions
     where session_id = $1 and accepted_at is not null and ended_at is null and expires_at > clock_timestamp()`,
    [sessionId],
  );
  return rows[0] && fromRow(rows[0]);
}

/** Written before the Session Management Service is asked, so that an end that arrives meanwhile finds it. */
export async function insertUnanswered(pool: pg.Pool, sessions: readonly AuthSession[]): Promise<void> {
  await pool.query(
    `insert into auth_sessions (session_id, organization_id, user_id, roles, started_at, expires_at, support_access_grant_id,
       parent_organization_id, parent_session_id, ip_address, user_agent, client)
     select s."sessionId", s."organizationId", s."userId", s.roles, s."startedAt", s."expiresAt", s."supportAccessGrantId",
       s."parentSession"->>'organizationId', s."parentSession"->>'sessionId', s."ipAddress", s."userAgent", s.client
     from jsonb_to_recordset($1::jsonb) as s("sessionId" text, "organizationId" text, "userId" text, roles text[],
       "startedAt" timestamptz, "expiresAt" timestamptz, "supportAccessGrantId" text, "parentSession" jsonb,
       "ipAddress" text, "userAgent" text, client text)`,
    [JSON.stringify(sessions)],
  );
}

/** Returns the ids that are open from now on; one that was ended while the answer was on its way is not among them. */
export async function acceptSessions(pool: pg.Pool, sessionIds: readonly string[]): Promise<Set<string>> {
  const { rows } = await pool.query<{ session_id: string }>(
    `update auth_sessions set accepted_at = clock_timestamp()
     where session_id = any($1) and ended_at is null and accepted_at is null returning session_id`,
    [sessionIds],
  );
  return new Set(rows.map((row) => row.session_id));
}
