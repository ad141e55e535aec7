import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi';
import { notFound } from '../../errors.ts';
import type { AuditPublicKey } from '../../signing/audit-keys.ts';
import type { ApiEnv } from '../api-env.ts';
import { nameRoute } from '../endpoint.ts';
import { problems, requestIdHeader } from '../openapi.ts';
import { jsonAnswer } from '../route-parts.ts';

const keySchema = z
  .object({
    kty: z.string(),
    crv: z.string(),
    x: z.string(),
    y: z.string().optional(),
    kid: z.string().openapi({ description: 'The thumbprint of the key (RFC 7638).' }),
    alg: z.enum(['EdDSA', 'ES256']),
    use: z.literal('sig'),
  })
  .openapi('AuditPublicKey');

const route = createRoute({
  method: 'get',
  path: '/.well-known/audit-keys.json',
  operationId: 'auditKeys',
  summary: 'The public keys that heads and receipts are checked with (RFC 7517)',
  tags: ['audit'],
  responses: {
    200: jsonAnswer('The keys.', z.object({ keys: z.array(keySchema) }), requestIdHeader),
    ...problems(['not-found']),
  },
});

/** Needs no token: whoever was given a receipt can check it. Not found where nothing is signed. */
export function registerAuditKeys(app: OpenAPIHono<ApiEnv>, keys: readonly AuditPublicKey[] | undefined): void {
  app.use(route.path, nameRoute(route.path));
  app.openAPIRegistry.registerPath(route);
  app.get(route.path, (c) => {
    if (keys === undefined) throw notFound();
    return c.json({ keys }, 200, { 'Cache-Control': 'public, max-age=300' });
  });
}
