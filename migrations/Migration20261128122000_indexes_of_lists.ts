import { Migration } from '@mikro-orm/migrations';

/**
 * The indexes by which every list, check, sweep and loop reads what it asks for and nothing else; then those that no
 * statement uses any more go. Built without holding up a write. One that was left half-built by a run that was cut off is
 * built again.
 */
export class Migration20261128122000_indexes_of_lists extends Migration {
  override isTransactional(): boolean {
    return false;
  }

  override up(): void {
    for (const [name, definition] of Object.entries(indexes)) {
      this.addSql(`drop index concurrently if exists ${name}`);
      this.addSql(`create index concurrently ${name} on ${definition}`);
    }
    for (const name of unused) this.addSql(`drop index concurrently if exists ${name}`);
  }
}

const indexes: Record<string, string> = {
  // lists: newest start first, of a user's active sessions or of all of them
  sessions_by_start: 'sessions (organization_id, user_id, first_started_at, id)',
  sessions_active:
    'sessions (organization_id, user_id, first_started_at, id) where ended_at is null and expiry_marked_at is null',
  // what a clock has marked that was ahead: normally nothing is found. (No index holds the expiry: a refresh changes it.)
  sessions_expiry_marked: 'sessions (expiry_marked_at) where expiry_marked_at is not null',
  // what no termination has, as far as a cutoff reaches: of one user, of an organization
  sessions_unclaimed_by_user: 'sessions (organization_id, user_id, fenced_from, id) where termination_id is null',
  sessions_unclaimed: 'sessions (organization_id, fenced_from, id) where termination_id is null',
  sessions_unconfirmed_by_user: `sessions (organization_id, user_id, fenced_from, id) where sign_in_outcome = 'pending'`,
  sessions_unconfirmed_here: `sessions (organization_id, fenced_from, id) where sign_in_outcome = 'pending'`,
  // support sessions that are still to be ended, by what they were opened from and by where they are
  sessions_unclaimed_under_parent:
    'sessions (parent_organization_id, parent_session_id) where parent_session_id is not null and termination_id is null',
  sessions_unclaimed_support:
    'sessions (organization_id) where termination_id is null and (support_access_grant_id is not null or parent_session_id is not null)',
  // a scope may have very many terminations that are done
  terminations_running: `terminations (organization_id, scope_kind, scope_id) where status = 'running'`,
  terminations_unverified: 'terminations (organization_id, scope_kind, scope_id) where verified_at is null',
  // the latest of an organization's past grants
  grants_by_end: `support_access_grants (organization_id, coalesce(user_id, ''), coalesce(access_ended_at, expires_at)) where starts_at is not null`,
  grants_not_activated: 'support_access_grants (activate_before) where starts_at is null and voided_at is null',
  grants_voided: 'support_access_grants (voided_at) where voided_at is not null',
  // the audit: newest first, from one instant to another, with one filter
  audit_by_time: 'audit_events (organization_id, at, id)',
  audit_by_action_and_time: 'audit_events (organization_id, action, at, id)',
  audit_by_actor_and_time: `audit_events (organization_id, (actor ->> 'id'), at, id)`,
  audit_by_subject_and_time: 'audit_events (organization_id, subject_id, at, id)',
  audit_unsealed_by_organization: 'audit_unsealed (organization_id, audit_event_id)',
};

const unused = [
  'sessions_by_activity',
  'sessions_not_ended_by_activity',
  'sessions_unclaimed_of_user',
  'sessions_unconfirmed',
  'sessions_under_parent',
  'audit_newest',
  'audit_by_action',
  'audit_by_actor',
  'audit_by_subject',
];
