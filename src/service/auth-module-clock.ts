import { sql } from 'kysely';

/** By how many milliseconds the Auth Module's clock was seen ahead for certain within the hour: its stamps are later than ours for the same moment. */
export const knownAheadMs = sql<number>`coalesce((select ahead_ms from auth_module_clock where observed_at >= current_instant() - interval '1 hour'), 0)`;
