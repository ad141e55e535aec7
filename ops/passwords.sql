-- For psql: sets the passwords of the roles from the environment. Repeat it to change one.
\set ON_ERROR_STOP on
\getenv owner OWNER_DATABASE_PASSWORD
\getenv app APP_DATABASE_PASSWORD
\getenv reader READER_DATABASE_PASSWORD
\getenv temporal TEMPORAL_DATABASE_PASSWORD
alter role session_management_owner password :'owner';
alter role session_management_app password :'app';
alter role session_management_reader password :'reader';
select 'create role temporal login createdb' where not exists (select from pg_roles where rolname = 'temporal') \gexec
alter role temporal password :'temporal';
