import { sql } from 'kysely';
import { type Queryable, row } from '../../database.ts';
import type { SupportAccessFlag } from '../../rules/support-access-grant.ts';
import { toInstantOrNull } from '../instants.ts';
import { grantIsLive } from '../live-grant.ts';

interface FlagRow {
  live_grants: number;
  id: string | null;
  expires_at: string | null;
  time_zone: string | null;
}

/** The flag as it is at this instant: `allowed` while any grant is live; its date is that of the grant for any Global Admin. */
export async function readFlag(db: Queryable, organizationId: string): Promise<SupportAccessFlag> {
  const flag = await row<FlagRow>(
    db,
    sql`with live as materialized (
        select id, user_id, expires_at, time_zone from support_access_grants where organization_id = ${organizationId} and starts_at is not null and ${grantIsLive}
      )
      select (select count(*) from live)::int as live_grants, any_admin.id, any_admin.expires_at, any_admin.time_zone
      from (select 1) one left join live any_admin on any_admin.user_id is null`,
  );
  return {
    allowed: (flag?.live_grants ?? 0) > 0,
    allowUntil: toInstantOrNull(flag?.expires_at ?? null),
    timeZone: flag?.time_zone ?? null,
    grantId: flag?.id ?? null,
    liveGrants: flag?.live_grants ?? 0,
  };
}
