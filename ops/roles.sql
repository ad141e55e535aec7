-- The roles of the service, made by a superuser; harmless to repeat. Passwords are set apart from this file (passwords.sql),
-- so that no secret is ever in one. Run it in the database of the service, before the first migration.
--
--   session_management_owner   owns the schema: migrations and `migrate --restored`
--   session_management_app     the API and the worker: reads and writes rows, changes no structure, erases no fact
--   session_management_reader  people and dashboards: reads, without the details of people's devices and what was answered
do $$
declare
  role text;
begin
  foreach role in array array['session_management_owner', 'session_management_app', 'session_management_reader'] loop
    if not exists (select from pg_roles where rolname = role) then
      execute format('create role %I login nosuperuser nocreatedb nocreaterole noreplication', role);
    end if;
    execute format('grant connect on database %I to %I', current_database(), role);
  end loop;
  -- nobody else comes in, and only the owner makes anything
  execute format('revoke all on database %I from public', current_database());
  execute format('alter database %I owner to session_management_owner', current_database());
end
$$;
revoke all on schema public from public;
alter schema public owner to session_management_owner;
grant usage on schema public to session_management_app, session_management_reader;
alter role session_management_reader set default_transaction_read_only = on;
-- what other connections do and wait for
grant pg_read_all_stats to session_management_reader;
alter role session_management_reader set statement_timeout = '15s';
