import { defineEntity, p } from '@mikro-orm/core';

/** A tenant; it exists from its first use and is the outermost scope of everything else. */
export const Organization = defineEntity({
  name: 'Organization',
  tableName: 'organizations',
  properties: { id: p.text().primary(), createdAt: p.datetime(3).defaultRaw('current_instant()') },
});
