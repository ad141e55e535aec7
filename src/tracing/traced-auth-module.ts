import { type AuthModule, AuthModuleError } from '../auth-module/auth-module.ts';
import type { ErrorClass } from '../rules/termination.ts';
import type { SpanFacts, Tracing } from './tracing.ts';

/** The same Auth Module, each call a span. The waiting for a slot is outside of it, as the gap before. */
export function tracedAuthModule(authModule: AuthModule, tracing: Tracing): AuthModule {
  const ask = <T>(
    path: string,
    facts: SpanFacts,
    call: () => Promise<T>,
    failureOf: (answer: T) => ErrorClass | null,
  ) =>
    tracing.inSpan(
      { name: `POST ${path}`, kind: 'client', facts: { ...facts, method: 'POST', route: path } },
      async (span) => {
        try {
          const answer = await call();
          const failure = failureOf(answer);
          if (failure !== null) span.fail(failure);
          return answer;
        } catch (error) {
          if (error instanceof AuthModuleError) {
            span.add({ status: error.status ?? undefined });
            span.fail(error.errorClass);
          }
          throw error;
        }
      },
    );
  return {
    listRefreshChains: (search, cursor, signal) =>
      ask(
        '/refresh-chains/search',
        { organizationId: search.organizationId, grantId: search.supportAccessGrantId },
        () => authModule.listRefreshChains(search, cursor, signal),
        () => null,
      ),
    invalidateRefreshChains: (request, signal) =>
      ask(
        '/refresh-chains/invalidate',
        { organizationId: request.organizationId, terminationId: request.terminationId },
        () => authModule.invalidateRefreshChains(request, signal),
        (answer) => answer.errorClass,
      ),
  };
}
