import { sql } from 'kysely';
import { type Database, row } from '../database.ts';
import { countedLeads } from '../service/auth-module-clock.ts';
import { stalledAfterSeconds } from '../rules/termination.ts';

/** What is still to be done, for all organizations together. Ages are in seconds and zero where there is nothing. */
export interface Backlog {
  terminations_running: number;
  oldest_unconfirmed_termination_seconds: number;
  stalled_terminations: number;
  pending_sessions: number;
  pending_chains: number;
  undelivered_terminations: number;
  silent_terminations: number;
  grants_live: number;
  grants_ending: number;
  oldest_ending_grant_seconds: number;
  stalled_grants: number;
  grant_end_lag_seconds: number;
  undelivered_grants: number;
  silent_grants: number;
  unsealed_audit_events: number;
  oldest_unsealed_audit_event_seconds: number;
  auth_module_calls_leased: number;
  auth_module_clock_ahead_seconds: number;
}

const ageOf = (oldest: string) =>
  sql.raw(`coalesce(greatest(extract(epoch from current_instant() - ${oldest}), 0), 0)::float8`);

/**
 * One statement over the two partial indexes that the dispatcher uses (rows not yet verified, not yet settled), the queue
 * of the audit and two small tables: its cost follows what is open, never what has been.
 */
export const readBacklog = (database: Database): Promise<Backlog | undefined> =>
  row<Backlog>(
    database.pool,
    sql`with clock as materialized (select current_instant() as now), t as (${openTerminations}), g as (${openGrants}), a as (${unsealedAudit})
      select t.*, g.*, a.*,
        (select count(*) from auth_module_slots, clock where leased_until > now)::int as auth_module_calls_leased,
        coalesce((select max(ahead_ms) / 1000.0 from ${countedLeads} leads), 0)::float8 as auth_module_clock_ahead_seconds
      from t, g, a`,
  );

/** A row is silent a minute after the look that its workflow promised; the dispatcher then tells it again. */
const isSilent = sql.raw(`delivered_revision >= revision and next_look_at < now - interval '1 minute'`);
const isStalled = sql.raw(`progress_at < now - interval '${stalledAfterSeconds} seconds'`);

const openTerminations = sql`select
    count(*) filter (where status = 'running')::int as terminations_running,
    ${ageOf(`min(requested_at) filter (where status = 'running')`)} as oldest_unconfirmed_termination_seconds,
    count(*) filter (where status = 'running' and ${isStalled})::int as stalled_terminations,
    coalesce(sum(sessions_pending), 0)::float8 as pending_sessions,
    coalesce(sum(chains_pending), 0)::float8 as pending_chains,
    count(*) filter (where delivered_revision < revision)::int as undelivered_terminations,
    count(*) filter (where ${isSilent})::int as silent_terminations
  from terminations, clock where verified_at is null`;

const openGrants = sql`select
    count(*) filter (where access_ended_at is null and expires_at > now)::int as grants_live,
    count(*) filter (where access_ended_at is not null and sessions_cleared_at is null)::int as grants_ending,
    ${ageOf('min(access_ended_at) filter (where sessions_cleared_at is null)')} as oldest_ending_grant_seconds,
    count(*) filter (where access_ended_at is not null and sessions_cleared_at is null and ${isStalled})::int as stalled_grants,
    ${ageOf('min(expires_at) filter (where access_ended_at is null)')} as grant_end_lag_seconds,
    count(*) filter (where delivered_revision < revision)::int as undelivered_grants,
    count(*) filter (where ${isSilent})::int as silent_grants
  from support_access_grants, clock where settled_at is null and voided_at is null and starts_at is not null`;

/** Ids are UUIDv7: the smallest is the oldest, and tells its own age. */
const unsealedAudit = sql`select
    (select count(*) from (select from audit_unsealed limit 100000) q)::int as unsealed_audit_events,
    ${ageOf('(select uuid_extract_timestamp(audit_event_id) from audit_unsealed order by audit_event_id limit 1)')} as oldest_unsealed_audit_event_seconds`;
