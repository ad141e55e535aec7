import { Migration } from '@mikro-orm/migrations';

/**
 * A lease lives for seconds and is worth nothing after a crash, so taking one must not wait for the disk: it stands before
 * every call to the Auth Module. Rows that are gone after a crash are made again by who asks for a slot.
 */
export class Migration20261126000000_leases_unlogged extends Migration {
  override up(): void {
    this.addSql(`set local lock_timeout = '2s'`);
    this.addSql('alter table auth_module_slots set unlogged');
  }
}
