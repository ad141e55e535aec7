import { randomUUID } from 'node:crypto';
import { started, report } from '../harness/events.ts';
import type { Stack } from '../harness/stack.ts';
import { terminate } from '../harness/terminations.ts';

export interface Planted {
  organizationId: string;
  userId: string;
  sessionIds: string[];
  terminationId: string;
  /** Live, for any Global Admin. */
  grantId: string;
  /** Over. */
  endedGrantId: string;
}

interface GrantRow {
  userId?: string | null;
  reason?: string | null;
  live?: boolean;
}

/** A grant as its workflow would have made it: alive for an hour, or over since a minute. Returns its id. */
export async function plantGrant(
  { database }: Pick<Stack, 'database'>,
  organizationId: string,
  { userId = null, reason = null, live = true }: GrantRow = {},
): Promise<string> {
  const createdBy = { kind: 'org-admin', id: 'admin', sessionId: 'sid-of-admin', supportAccessGrantId: null };
  await database.query('insert into organizations (id) values ($1) on conflict do nothing', [organizationId]);
  const [row] = await database.query<{ id: string }>(
    `insert into support_access_grants (organization_id, user_id, reason, created_by, created_at, activate_before, starts_at, expires_at,
       access_ended_at, end_reason, ended_by, progress_at, next_look_at, dispatch_after, delivered_revision)
     select $1, $2, $3, $4::jsonb, at, at, at, at + interval '70 minutes', case when $5 then null else at + interval '9 minutes' end,
       case when $5 then null else 'revoked' end, case when $5 then null else $4::jsonb end, at, at, at + interval '30 days', 1
     from (select current_instant() - interval '10 minutes') now (at) returning id`,
    [organizationId, userId, reason, JSON.stringify(createdBy), live],
  );
  return row?.id ?? '';
}

/** An organization with something of everything; every free text in it contains `marker`. */
export async function plantOrganization(stack: Stack, organizationId: string, marker = 'planted'): Promise<Planted> {
  const userId = `user-of-${organizationId}`;
  const sessionIds = Array.from({ length: 4 }, (_, n) => `session-${n}-${organizationId}`);
  const events = sessionIds.map((sessionId, n) =>
    started({
      organizationId,
      userId: n === 3 ? 'shared-user' : userId,
      sessionId,
      chainId: `${marker}-chain-${n}`,
      ipAddress: `${marker}-ip`,
      userAgent: `${marker}-agent`,
      client: `${marker}-client`,
      authenticationMethods: [`${marker}-method`],
    }),
  );
  await report(stack, events);
  const { body } = await terminate(stack, organizationId, `sessions/${sessionIds[0]}/terminate`, {
    body: { reason: `${marker}-reason-${randomUUID()}` },
  });
  const grantId = await plantGrant(stack, organizationId, { reason: `${marker}-grant-reason` });
  const endedGrantId = await plantGrant(stack, organizationId, { reason: `${marker}-ended-reason`, live: false });
  return { organizationId, userId, sessionIds, terminationId: body.id, grantId, endedGrantId };
}
