import { Migration } from '@mikro-orm/migrations';

/**
 * Gives the sessions of before their first start, 5,000 at a time by primary key, each batch a transaction of its own: no
 * request waits for more than one batch. A run that was cut off is begun again, and passes over what is done.
 */
export class Migration20261128121000_first_starts_of_before extends Migration {
  override isTransactional(): boolean {
    return false;
  }

  override up(): void {
    this.addSql(`
      do $$
      declare
        after record; upto record;
      begin
        select ''::text as organization_id, ''::text as id into after;
        loop
          select organization_id, id into upto from (
            select organization_id, id from sessions where (organization_id, id) > (after.organization_id, after.id)
            order by organization_id, id limit 5000
          ) page order by organization_id desc, id desc limit 1;
          exit when not found;
          update sessions set first_started_at = started_at
            where (organization_id, id) > (after.organization_id, after.id) and (organization_id, id) <= (upto.organization_id, upto.id)
              and first_started_at = '-infinity';
          commit;
          after := upto;
        end loop;
      end $$`);
  }
}
