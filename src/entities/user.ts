import { defineEntity, p } from '@mikro-orm/core';

/** A user as one organization knows them: the same person elsewhere is another row. */
export const User = defineEntity({
  name: 'User',
  tableName: 'users',
  properties: {
    organizationId: p.text().primary(),
    id: p.text().primary(),
    createdAt: p.datetime(3).defaultRaw('current_instant()'),
  },
});
