import { Migration } from '@mikro-orm/migrations';

/** Small indexes, of few rows each, built without holding up a write; one that was left half-built is built again. */
export class Migration20261128140100_indexes_of_fences extends Migration {
  override isTransactional(): boolean {
    return false;
  }

  override up(): void {
    for (const [name, definition] of Object.entries(indexes)) {
      this.addSql(`drop index concurrently if exists ${name}`);
      this.addSql(`create index concurrently ${name} on ${definition}`);
    }
  }
}

const indexes: Record<string, string> = {
  // for a decision's cutoff: the newest that was opened from an organization's sessions, which need not have a row
  sessions_newest_under_parent:
    'sessions (parent_organization_id, fenced_from) where parent_session_id is not null and termination_id is null',
  // of what is not delivered, what is put off beyond any patience: by a clock that was set back since
  terminations_undelivered: 'terminations (dispatch_after) where verified_at is null and delivered_revision < revision',
  grants_undelivered:
    'support_access_grants (dispatch_after) where settled_at is null and delivered_revision < revision',
};
