import { z } from 'zod';
import type { Harness } from './harness.ts';

/** The answers of the port and of the demo endpoints, exactly: a field more or less fails the test that got it. */
const Chain = z.strictObject({
  chainId: z.string(),
  sessionId: z.string(),
  userId: z.string(),
  organizationId: z.string(),
  sessionStartedAt: z.iso.datetime({ precision: 3 }),
  supportAccessGrantId: z.string().nullable(),
});
const SearchAnswer = z.strictObject({ chains: z.array(Chain).max(500), nextCursor: z.string().nullable() });
const outcome = z.enum(['invalidated', 'already-dead']);
const InvalidateAnswer = z.strictObject({
  chains: z.array(z.strictObject({ chainId: z.string(), outcome })),
  sessions: z.array(z.strictObject({ sessionId: z.string(), outcome })),
});
const SignIn = z.strictObject({
  sessionId: z.string(),
  chainId: z.string(),
  refreshToken: z.string(),
  clientId: z.enum(['web', 'mobile']),
});
const PersonToken = z.strictObject({
  access_token: z.string(),
  session_id: z.string(),
  chain_id: z.string().optional(),
  refresh_token: z.string().optional(),
  parent_session_id: z.string().optional(),
});

export type SignIn = z.infer<typeof SignIn>;

export function endpointsOf(harness: Pick<Harness, 'post'>) {
  async function call<T extends z.ZodType>(path: string, body: unknown, schema: T): Promise<z.infer<T>> {
    return schema.parse((await harness.post(path, body)).body);
  }
  return {
    search: (body: object) => call('/refresh-chains/search', body, SearchAnswer),
    invalidate: (organizationId: string, ids: { sessionIds?: string[]; chainIds?: string[] }) =>
      call(
        '/refresh-chains/invalidate',
        { organizationId, terminationId: 't1', sessionIds: [], chainIds: [], ...ids },
        InvalidateAnswer,
      ),
    signIns: (body: object) => call('/demo/sign-ins', body, z.array(SignIn)),
    personToken: (body: object) => call('/demo/tokens', body, PersonToken),
    machineToken: (body: object) =>
      call('/demo/tokens', { machine: true, ...body }, z.strictObject({ access_token: z.string() })),
    signOuts: (sessionIds: string[]) =>
      call('/demo/sign-outs', { sessionIds }, z.strictObject({ sessionIds: z.array(z.string()) })),
  };
}
