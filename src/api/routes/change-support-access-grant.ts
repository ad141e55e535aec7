import { createRoute, z } from '@hono/zod-openapi';
import type { SessionManagementService } from '../../service/index.ts';
import { answerGrant } from '../answers.ts';
import { endpoint } from '../endpoint.ts';
import { requiredRevision } from '../prefer.ts';
import { changeGrantBody } from '../request-schemas.ts';
import { grantTag, jsonAnswer, jsonBody, orgAndId } from '../route-parts.ts';
import { grantSchema } from '../schemas.ts';

const route = createRoute({
  method: 'patch',
  path: '/v1/organizations/{org}/support-access-grants/{id}',
  operationId: 'changeSupportAccessGrant',
  summary: 'Give a live grant another end, later or sooner',
  tags: ['support access'],
  request: {
    params: orgAndId,
    headers: z.object({
      'If-Match': z
        .string()
        .optional()
        .openapi({ description: 'Change this revision only (the `ETag`).', example: '"1"' }),
    }),
    body: jsonBody(changeGrantBody, true),
  },
  responses: {
    200: jsonAnswer('The grant with its new end; the same end again changes nothing.', grantSchema, grantTag),
  },
});

export const changeSupportAccessGrant = ({
  service,
}: {
  service: Pick<SessionManagementService, 'changeSupportAccessGrant'>;
}) =>
  endpoint({
    route,
    operation: 'grants.change',
    refusals: ['grant-ended', 'revision-mismatch', 'expiry-out-of-bounds'],
    handler: async (c) => {
      const { expiresAt } = c.req.valid('json');
      const options = { ifRevision: requiredRevision(c.req.header('if-match')) };
      return answerGrant(
        c,
        await service.changeSupportAccessGrant(c.req.valid('param').id, expiresAt, c.get('admin'), options),
      );
    },
  });
