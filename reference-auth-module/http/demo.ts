import { Hono } from 'hono';
import { z } from 'zod';
import { clientIds } from '../oidc/clients.ts';
import type { DemoSignIns } from '../sign-in/demo-sign-ins.ts';
import type { DemoTokens } from '../sign-in/demo-tokens.ts';
import { badRequest, Id, jsonBody } from './json-body.ts';

const ttlSeconds = z
  .int()
  .min(1)
  .max(12 * 60 * 60)
  .optional();
const scope = z.string().trim().min(1).max(500);
const MachineToken = z.strictObject({
  machine: z.literal(true),
  scope,
  sub: Id.optional(),
  org_id: Id.optional(),
  ttlSeconds,
});
const PersonToken = z.strictObject({
  machine: z.literal(false).optional(),
  sub: Id,
  org_id: Id,
  roles: z.array(Id).max(20).optional(),
  scope: scope.optional(),
  ttlSeconds,
  support_access_organization: Id.optional(),
  parent_session_id: Id.optional(),
});
const SignIns = z.strictObject({
  organizationId: Id,
  userId: Id.optional(),
  userIds: z.array(Id).min(1).max(1000).optional(),
  count: z.int().min(1).max(1000).optional(),
  clients: z.array(z.enum(clientIds)).min(1).max(clientIds.length).optional(),
});
const SignOuts = z.strictObject({ sessionIds: z.array(Id).min(1).max(1000) });

/** Signing people in without a browser, for demonstrations, tests and measurements. All of it is real but the form. */
export function createDemoRoutes({ tokens, signIns }: { tokens: DemoTokens; signIns: DemoSignIns }) {
  return new Hono()
    .post('/demo/tokens', async (c) => {
      const body = await jsonBody(c, z.union([MachineToken, PersonToken]));
      return c.json(body.machine ? await tokens.forMachine(body) : await tokens.forPerson(body));
    })
    .post('/demo/sign-ins', async (c) => {
      const { organizationId, userId, userIds, count, clients = ['web'] } = await jsonBody(c, SignIns);
      const oneUser = userId !== undefined && userIds === undefined;
      if (oneUser === (userIds !== undefined) || (userIds && count !== undefined)) {
        throw badRequest('either userId with count, or userIds with one sign-in each');
      }
      const users = userIds ?? Array.from({ length: count ?? 1 }, () => String(userId));
      return c.json(await signIns.open({ organizationId, users, clients: [...new Set(clients)] }));
    })
    .post('/demo/sign-outs', async (c) => {
      const { sessionIds } = await jsonBody(c, SignOuts);
      return c.json({ sessionIds: await signIns.end(sessionIds) });
    });
}
