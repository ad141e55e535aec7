-- What each role may do with each table; run by the owner after every migration, harmless to repeat. A table that a
-- migration adds must be added here: a test fails until it is.
revoke all on all tables in schema public from session_management_app, session_management_reader;

-- facts: written once, never changed, never removed (triggers refuse it for every role as well)
grant select, insert on organizations, users, audit_events, audit_seals to session_management_app;
-- fences stay for ever
grant select, insert, update on terminations, auth_module_slots, auth_module_clock, organization_clocks, audit_heads to session_management_app;
-- what retention removes or what is a queue
grant select, insert, update, delete on
  sessions, refresh_token_chains, support_access_grants, idempotency_keys, seen_session_events, audit_unsealed,
  auth_module_leads
  to session_management_app;
grant select, update on retention_progress, expiry_progress to session_management_app;
grant select on service_keys, session_states to session_management_app;

-- people look at states and times; not at addresses, devices, answers that were given, or the key that signs cursors
grant select on
  organizations, users, refresh_token_chains, terminations, support_access_grants, audit_events, audit_seals, audit_unsealed, audit_heads,
  seen_session_events, auth_module_slots, auth_module_clock, organization_clocks, auth_module_leads, retention_progress, expiry_progress
  to session_management_reader;
grant select (organization_id, id, user_id, started_at, first_started_at, recorded_at, recorded_order, fenced_from, last_seen_at, expires_at, expiry_marked_at, ended_at, end_reason,
  termination_id, sign_in_outcome, support_access_grant_id, parent_organization_id, parent_session_id) on sessions to session_management_reader;
grant select (caller, path, created_at, reserved_until, resource_kind, resource_id, response_status) on idempotency_keys to session_management_reader;
