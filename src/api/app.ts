import { OpenAPIHono } from '@hono/zod-openapi';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import type { Config } from '../config.ts';
import type { SessionManagementService } from '../service/index.ts';
import type { AuditPublicKey } from '../signing/audit-keys.ts';
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
import { createCrossOrigin, crossOriginPaths } from './cross-origin.ts';
import { createOpenStream, type OpenStream } from './open-stream.ts';
import { createRequestContext, refuseMalformed } from './request-context.ts';
import { changeSupportAccessGrant } from './routes/change-support-access-grant.ts';
import { checkSupportAccess } from './routes/check-support-access.ts';
import { createSupportAccessGrant } from './routes/create-support-access-grant.ts';
import { getAuditHead } from './routes/get-audit-head.ts';
import { getTerminationReceipt } from './routes/get-termination-receipt.ts';
import { registerAuditKeys } from './routes/audit-keys.ts';
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
import { createStreamLimit } from './stream-limit.ts';
import type { VerifyToken } from './token-verifier.ts';
import { createTraceRequest } from './trace-request.ts';
import { createMethodsOf, createUnmatched } from './unmatched.ts';
import { createShares, createWriteLimit, type TakeShare } from './write-limit.ts';

export interface AppDependencies {
  service: SessionManagementService;
  verifyToken: VerifyToken;
  callers: CallerFactsReader;
  idempotency: IdempotencyKeys;
  cursors: Cursors;
  readiness: AskDependencies;
  metrics?: Registry;
  /** Undefined: nothing is signed. */
  auditKeys?: readonly AuditPublicKey[] | undefined;
  tracing?: Tracing;
  config: Pick<Config, 'writesPerMinute' | 'corsAllowedOrigins' | 'metricsPort'>;
  logger: Logger;
  /** Aborts when the process begins to drain: streams end. */
  draining: AbortSignal;
}

type EndpointDependencies = AppDependencies & { openStream: OpenStream; takeOrganizationWide: TakeShare };

const ORGANIZATION_WIDE_PER_MINUTE = 30;

/** Every endpoint, in reading order. */
const createEndpoints = (dependencies: EndpointDependencies): Endpoint[] => [
  getActiveSessions(dependencies),
  terminateSession(dependencies),
  terminateAllSessions(dependencies),
  terminateOrganizationSessions(dependencies),

  listTerminations(dependencies),
  getTermination(dependencies),
  getTerminationReceipt(dependencies),
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
  getAuditHead(dependencies),

  recordSessionEvents(dependencies),
  checkSupportAccess(dependencies),
];

/** The HTTP interface. Everything under /v1 declares whom it is for; the rest needs no token. */
export function createApp(dependencies: AppDependencies): OpenAPIHono<ApiEnv> {
  const { idempotency, readiness, metrics, tracing = noTracing, config, logger } = dependencies;
  const app = new OpenAPIHono<ApiEnv>();
  app.use('*', createTraceRequest(tracing));
  app.use('*', createRequestContext(logger, metrics && createObserveRequest(metrics)));
  const methodsOf = createMethodsOf(app);
  for (const path of crossOriginPaths) app.use(path, createCrossOrigin(config.corsAllowedOrigins, methodsOf));
  app.use('*', refuseMalformed);
  const shared = {
    adminContext: createAdminContext(dependencies),
    limitWrites: createWriteLimit(config.writesPerMinute),
    idempotent: createIdempotentAnswer(idempotency, (error) =>
      logger.warn({ error: describeUnknown(error) }, 'an answer could not be kept for its idempotency key'),
    ),
  };
  const endpoints = createEndpoints({
    ...dependencies,
    openStream: createOpenStream({ ...dependencies, takeStreamPlace: createStreamLimit() }),
    takeOrganizationWide: createShares(ORGANIZATION_WIDE_PER_MINUTE),
  });
  for (const endpoint of endpoints) register(app, shared, endpoint);
  registerOperationPages(app, {
    readiness: createReadiness(readiness, logger),
    // a port of their own is for who may not reach this one, and the other way round
    metrics: config.metricsPort === undefined ? metrics : undefined,
  });
  registerAuditKeys(app, dependencies.auditKeys);
  registerDocumentation(app);
  app.notFound(createUnmatched(methodsOf));
  app.onError(createErrorResponse(logger));
  return app;
}
