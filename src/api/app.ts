import { OpenAPIHono } from '@hono/zod-openapi';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import type { SessionManagementService } from '../service/index.ts';
import { noTracing, type Tracing } from '../tracing/tracing.ts';
import { type CallerFactsReader, createAdminContext } from './admin-context.ts';
import type { ApiEnv } from './api-env.ts';
import type { Cursors } from './cursors.ts';
import { type Endpoint, register } from './endpoint.ts';
import { createErrorResponse, describeUnknown } from './error-response.ts';
import { type AskDependencies, createReadiness } from './health.ts';
import type { IdempotencyKeys } from './idempotency.ts';
import { createIdempotentAnswer } from './idempotent-answer.ts';
import { createObserveRequest } from './metrics.ts';
import { createOpenStream, type OpenStream } from './open-stream.ts';
import { createRequestContext, refuseMalformed } from './request-context.ts';
import { changeSupportAccessGrant } from './routes/change-support-access-grant.ts';
import { checkSupportAccess } from './routes/check-support-access.ts';
import { createSupportAccessGrant } from './routes/create-support-access-grant.ts';
import { registerDocumentation } from './routes/documentation.ts';
import { getActiveSessions } from './routes/get-active-sessions.ts';
import { getSupportAccessGrant } from './routes/get-support-access-grant.ts';
import { getTermination } from './routes/get-termination.ts';
import { listAuditEvents } from './routes/list-audit-events.ts';
import { listSupportAccessGrants } from './routes/list-support-access-grants.ts';
import { listTerminations } from './routes/list-terminations.ts';
import { registerOperationPages } from './routes/operation-pages.ts';
import { recordSessionEvents } from './routes/record-session-events.ts';
import { revokeSupportAccessGrant } from './routes/revoke-support-access-grant.ts';
import { allowSupportAccess, endSupportAccess, getSupportAccess } from './routes/support-access.ts';
import { terminateAllSessions } from './routes/terminate-all-sessions.ts';
import { terminateOrganizationSessions } from './routes/terminate-organization-sessions.ts';
import { terminateSession } from './routes/terminate-session.ts';
import { watchTermination } from './routes/watch-termination.ts';
import type { VerifyToken } from './token-verifier.ts';
import { createTraceRequest } from './trace-request.ts';
import { createUnmatched } from './unmatched.ts';
import { createWriteLimit } from './write-limit.ts';

export interface AppDependencies {
  service: SessionManagementService;
  verifyToken: VerifyToken;
  callers: CallerFactsReader;
  idempotency: IdempotencyKeys;
  cursors: Cursors;
  readiness: AskDependencies;
  metrics?: Registry;
  tracing?: Tracing;
  config: { writesPerMinute: number };
  logger: Logger;
  /** Aborts when the process begins to drain: streams end. */
  draining: AbortSignal;
}

type EndpointDependencies = AppDependencies & { openStream: OpenStream };

/** Every endpoint, in reading order. */
const createEndpoints = (dependencies: EndpointDependencies): Endpoint[] => [
  getActiveSessions(dependencies),
  terminateSession(dependencies),
  terminateAllSessions(dependencies),
  terminateOrganizationSessions(dependencies),

  listTerminations(dependencies),
  getTermination(dependencies),
  watchTermination(dependencies),

  createSupportAccessGrant(dependencies),
  listSupportAccessGrants(dependencies),
  getSupportAccessGrant(dependencies),
  changeSupportAccessGrant(dependencies),
  revokeSupportAccessGrant(dependencies),

  getSupportAccess(dependencies),
  allowSupportAccess(dependencies),
  endSupportAccess(dependencies),

  listAuditEvents(dependencies),

  recordSessionEvents(dependencies),
  checkSupportAccess(dependencies),
];

/** The HTTP interface. Everything under /v1 declares whom it is for; the rest needs no token. */
export function createApp(dependencies: AppDependencies): OpenAPIHono<ApiEnv> {
  const { idempotency, readiness, metrics, tracing = noTracing, config, logger } = dependencies;
  const app = new OpenAPIHono<ApiEnv>();
  app.use('*', createTraceRequest(tracing));
  app.use('*', createRequestContext(logger, metrics && createObserveRequest(metrics)), refuseMalformed);
  const shared = {
    adminContext: createAdminContext(dependencies),
    limitWrites: createWriteLimit(config.writesPerMinute),
    idempotent: createIdempotentAnswer(idempotency, (error) =>
      logger.warn({ error: describeUnknown(error) }, 'an answer could not be kept for its idempotency key'),
    ),
  };
  for (const endpoint of createEndpoints({ ...dependencies, openStream: createOpenStream(dependencies) }))
    register(app, shared, endpoint);
  registerOperationPages(app, { readiness: createReadiness(readiness, logger), metrics });
  registerDocumentation(app);
  app.notFound(createUnmatched(app));
  app.onError(createErrorResponse(logger));
  return app;
}
