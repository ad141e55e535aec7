import type pg from 'pg';
import { inTransaction } from './transaction.ts';

/**
 * The tables of the reference Auth Module, made on first start.
 *
 * - A chain's row is also its grant, and everything that could mint (codes, refresh tokens) points at it: `dead_at` on
 *   this one row kills all of it, and one row lock orders a kill against whatever is in flight.
 * - `closed_at` on a chain repeats that its session is over, so that issuing a code needs to lock only the chain.
 * - No index of sessions depends on `ended_at`, and their pages have room: an end rewrites the row in place, no index.
 * - What a browser or client holds as a secret (code, refresh token, cookie) is stored as its SHA-256 only.
 */
const tables = `
create table if not exists auth_settings (name text primary key, value jsonb not null);

create table if not exists auth_people (
  organization_id text not null, user_id text not null, display_name text not null, roles text[] not null,
  primary key (organization_id, user_id));

create table if not exists auth_sessions (
  session_id text primary key, organization_id text not null, user_id text not null, roles text[] not null,
  started_at timestamptz(3) not null, expires_at timestamptz(3) not null,
  accepted_at timestamptz, ended_at timestamptz, end_reason text,
  support_access_grant_id text, parent_organization_id text, parent_session_id text,
  ip_address text, user_agent text, client text) with (fillfactor = 80);
create index if not exists auth_sessions_unanswered on auth_sessions (started_at) where accepted_at is null;

create table if not exists auth_chains (
  chain_id text primary key, session_id text not null references auth_sessions, client_id text not null,
  organization_id text not null, user_id text not null, session_started_at timestamptz(3) not null,
  support_access_grant_id text, grant_payload jsonb not null, expires_at timestamptz not null,
  closed_at timestamptz, dead_at timestamptz, dead_reason text);
create index if not exists auth_chains_of_session on auth_chains (session_id);
create index if not exists auth_chains_of_organization on auth_chains (organization_id, session_started_at, chain_id)
  where dead_at is null;
create index if not exists auth_chains_of_user on auth_chains (organization_id, user_id, session_started_at, chain_id)
  where dead_at is null;
create index if not exists auth_chains_of_support_grant on auth_chains (support_access_grant_id, session_started_at, chain_id)
  where dead_at is null and support_access_grant_id is not null;

create table if not exists auth_tokens (
  key bytea primary key, kind text not null, chain_id text not null references auth_chains on delete cascade,
  payload jsonb not null, consumed_at timestamptz, expires_at timestamptz not null);
create index if not exists auth_tokens_alive on auth_tokens (chain_id) include (expires_at) where consumed_at is null;
create index if not exists auth_tokens_used on auth_tokens (chain_id, consumed_at) where consumed_at is not null;
create index if not exists auth_tokens_expiry on auth_tokens (expires_at);

create table if not exists auth_artifacts (
  model text not null, key bytea not null, payload jsonb not null, uid text, session_id text,
  consumed_at timestamptz, expires_at timestamptz, primary key (model, key));
create index if not exists auth_artifacts_uid on auth_artifacts (uid) where uid is not null;
create index if not exists auth_artifacts_expiry on auth_artifacts (expires_at);

create table if not exists auth_outbox (
  id bigint generated always as identity primary key, event_id uuid not null default gen_random_uuid(), type text not null,
  session_id text not null references auth_sessions, chain_id text, occurred_at timestamptz(3) not null);
create index if not exists auth_outbox_of_session on auth_outbox (session_id);
`;

/** Safe to run from several processes at once: an advisory lock makes them take turns. */
export async function createTables(pool: pg.Pool): Promise<void> {
  await inTransaction(pool, async (client) => {
    await client.query(`select pg_advisory_xact_lock(hashtext('reference-auth-module.schema'))`);
    await client.query(tables);
  });
}
