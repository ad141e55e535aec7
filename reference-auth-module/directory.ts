import type pg from 'pg';

export interface Person {
  organizationId: string;
  userId: string;
  displayName: string;
  roles: string[];
}

/** The vendor's own organization, whose Global Admins may ask for support access elsewhere. */
export const vendorOrganizationId = 'vendor';

const demoPeople: Person[] = [
  { organizationId: 'acme', userId: 'ada', displayName: 'Ada', roles: ['org_admin'] },
  { organizationId: 'acme', userId: 'grace', displayName: 'Grace (consultant)', roles: ['user'] },
  { organizationId: 'acme', userId: 'linus', displayName: 'Linus', roles: ['user'] },
  { organizationId: 'globex', userId: 'hank', displayName: 'Hank', roles: ['org_admin'] },
  { organizationId: 'globex', userId: 'grace', displayName: 'Grace (consultant)', roles: ['user'] },
  { organizationId: vendorOrganizationId, userId: 'sam', displayName: 'Sam', roles: ['global_admin'] },
  { organizationId: vendorOrganizationId, userId: 'tess', displayName: 'Tess', roles: ['global_admin'] },
];

/** Fills an empty directory only: people who were changed or removed stay so over a restart. */
export async function seedDirectory(pool: pg.Pool): Promise<void> {
  await pool.query(
    `insert into auth_people (organization_id, user_id, display_name, roles)
     select p."organizationId", p."userId", p."displayName", p.roles
     from jsonb_to_recordset($1::jsonb) as p("organizationId" text, "userId" text, "displayName" text, roles text[])
     where not exists (select 1 from auth_people)
     on conflict do nothing`,
    [JSON.stringify(demoPeople)],
  );
}

export async function findPerson(pool: pg.Pool, organizationId: string, userId: string): Promise<Person | undefined> {
  const { rows } = await pool.query<Person>(
    `select organization_id as "organizationId", user_id as "userId", display_name as "displayName", roles
     from auth_people where organization_id = $1 and user_id = $2`,
    [organizationId, userId],
  );
  return rows[0];
}
