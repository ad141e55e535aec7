import { z } from '@hono/zod-openapi';
import { isOpaqueId } from '../rules/identifier.ts';
import { terminationSchema } from './schemas.ts';

/** The parts that routes are made of. The ids of a path are read by `readPath`; these only document them. */
const opaqueId = (example: string) => z.string().refine(isOpaqueId).openapi({ minLength: 1, maxLength: 255, example });
const madeHere = z.uuid().openapi({ example: '019ab3f2-6a3e-7c51-9d0e-5f2b8c1d4e7a' });

export const inOrganization = z.object({ org: opaqueId('acme') });
export const orgAndUser = inOrganization.extend({ user: opaqueId('user-7f3a') });
export const orgAndSession = inOrganization.extend({ session: opaqueId('session-51c0') });
export const orgAndId = inOrganization.extend({ id: madeHere });

// a type, since an interface cannot be used where OpenAPI's `x-…` members are allowed
export type Header = { description: string; schema: { type: 'string' | 'integer' } };
export const header = (description: string, type: Header['schema']['type'] = 'string'): Header => ({
  description,
  schema: { type },
});

/** A JSON answer of a contract. */
export const jsonAnswer = <T extends z.ZodType>(
  description: string,
  schema: T,
  headers: Record<string, Header> = {},
) => ({
  description,
  content: { 'application/json': { schema } },
  headers,
});

/** A JSON body; an empty one counts as `{}`. */
export const jsonBody = <T extends z.ZodType>(schema: T, required: boolean) => ({
  required,
  content: { 'application/json': { schema } },
});

/** The two answers of the terminating endpoints. */
const applied = { 'Preference-Applied': header('What of `Prefer` was applied (RFC 7240).') };
export const terminationAnswers = {
  200: jsonAnswer('Completed: every sign-in and chain in scope is confirmed dead.', terminationSchema, applied),
  202: jsonAnswer(
    'Decided, and effective here at once; the Auth Module’s confirmation is still to come.',
    terminationSchema,
    {
      ...applied,
      Location: header('The termination.'),
      'Retry-After': header('Seconds.', 'integer'),
    },
  ),
};
export const preferHeader = z.object({
  Prefer: z.string().optional().openapi({
    description:
      '`wait=N`: answer when completed, or after N seconds (0 to 30, default 2). `respond-async`: from the decision alone.',
    example: 'wait=5',
  }),
});
export const grantTag = { ETag: header('The grant’s revision, for `If-Match`.') };
