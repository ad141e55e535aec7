-- Behind a pooler in transaction mode (DATABASE_POOLED=1), once more after a change, by a superuser, in the database of the
-- service: what each connection of the service otherwise asks for when it begins. A pooler would refuse it, or lend it to
-- others, so the role has it. A connection that the pooler holds open has it only once it is made anew (RECONNECT).
do $$
declare
  setting text;
begin
  foreach setting in array array[
    'statement_timeout = ''15s''',
    'lock_timeout = ''2s''',
    'idle_in_transaction_session_timeout = ''30s''',
    'plan_cache_mode = force_generic_plan',
    'jit = off'
  ] loop
    execute format('alter role session_management_app in database %I set %s', current_database(), setting);
  end loop;
end
$$;
