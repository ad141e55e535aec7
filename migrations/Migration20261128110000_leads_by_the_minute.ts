import { Migration } from '@mikro-orm/migrations';

/**
 * How far the Auth Module's clock was seen ahead, by the minute, so that the largest of the last ten minutes falls back by
 * itself. '' is the clock of all organizations. What was known and is credible is taken over; the version before goes on
 * with its own two tables.
 */
export class Migration20261128110000_leads_by_the_minute extends Migration {
  override up(): void {
    this.addSql(`create table auth_module_leads (
      organization_id text not null,
      minute timestamptz(3) not null,
      ahead_ms integer not null check (ahead_ms between 0 and 300000),
      primary key (organization_id, minute)
    )`);
    this.addSql(`insert into auth_module_leads (organization_id, minute, ahead_ms)
      select '', date_trunc('minute', observed_at), ahead_ms from auth_module_clock where ahead_ms between 0 and 300000
      union all select organization_id, date_trunc('minute', observed_at), ahead_ms from organization_clocks where ahead_ms between 0 and 300000`);
  }
}
