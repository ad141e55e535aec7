import { Migration } from '@mikro-orm/migrations';

/**
 * The latest signed head of each organization's audit chain, and since when the next one is due. Every organization is
 * due at first: what was sealed before is covered by the first head.
 */
export class Migration20261128150000_audit_heads extends Migration {
  override up(): void {
    this.addSql(`
      create table audit_heads (
        organization_id text primary key references organizations (id),
        sequence bigint,
        hash text,
        at timestamptz(3),
        jws text,
        due_at timestamptz(3),
        constraint audit_heads_whole check (num_nulls(sequence, hash, at, jws) in (0, 4))
      )`);
    this.addSql('create index audit_heads_due on audit_heads (due_at) where due_at is not null');
    this.addSql('insert into audit_heads (organization_id, due_at) select id, current_instant() from organizations');
  }
}
