import { defineEntity, p } from '@mikro-orm/core';
import { invalidationOutcomes } from '../rules/session.ts';

/** The family of refresh tokens that rotation links together. Alive until the Auth Module confirmed it dead. */
export const RefreshTokenChain = defineEntity({
  name: 'RefreshTokenChain',
  tableName: 'refresh_token_chains',
  properties: {
    organizationId: p.text().primary(),
    id: p.text().primary(),
    sessionId: p.text(),
    userId: p.text(),
    recordedAt: p.datetime(3),
    terminationId: p.uuid().nullable(),
    outcome: p.enum([...invalidationOutcomes]).nullable(),
    settledAt: p.datetime(3).nullable(),
  },
});
