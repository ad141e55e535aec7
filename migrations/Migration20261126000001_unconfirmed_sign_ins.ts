import { Migration } from '@mikro-orm/migrations';

/**
 * The sign-ins of a scope that are not confirmed, whoever's termination has them: nothing in whose scope one lies is
 * completed. (Before the first release, so that nobody waits while the index reads the table.) And the clock of an Auth Module that speaks for one organization, which must change nothing in another.
 */
export class Migration20261126000001_unconfirmed_sign_ins extends Migration {
  override up(): void {
    this.addSql(`set local lock_timeout = '2s'`);
    this.addSql(
      `create index sessions_unconfirmed on sessions (organization_id, user_id, id) where sign_in_outcome = 'pending'`,
    );
    this.addSql(`create table organization_clocks (
      organization_id text primary key,
      ahead_ms integer not null,
      observed_at timestamptz(3) not null
    )`);
  }
}
